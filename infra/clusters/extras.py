"""Optional libraries of cluster backends: there, or one line that says how to get them."""

from importlib import import_module
from types import ModuleType

from longform.errors import EnvironmentFaultError


def require_extra(module: str, extra: str) -> ModuleType:
    """Import a library that only one kind of cluster needs.

    Raises:
        EnvironmentFaultError: it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise EnvironmentFaultError(
            f"this kind of cluster needs {module.partition('.')[0]}: "
            f"pip install -c constraints.txt 'longform[{extra}]'"
        ) from error
