"""Optional packages: there, or one line that says how to get them."""

from importlib import import_module
from types import ModuleType

from longform.errors import EnvironmentFaultError


def install_hint(extra: str) -> str:
    """Return the command that installs an extra of longform."""
    return f"pip install 'longform[{extra}]'"


def missing_extra(needed_by: str, extra: str) -> EnvironmentFaultError:
    """Return the error for a package that is not installed."""
    return EnvironmentFaultError(
        f"{needed_by} needs a package that is not installed: {install_hint(extra)}"
    )


def require_extra(module: str, needed_by: str, extra: str) -> ModuleType:
    """Import a module of an optional package.

    Args:
        module: dotted name.
        needed_by: what cannot be done without it, for people.
        extra: the extra of longform that brings it.

    Raises:
        EnvironmentFaultError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise missing_extra(needed_by, extra) from error
