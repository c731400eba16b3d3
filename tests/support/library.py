"""What our code uses of a library beyond its promises: where that is gone, the library is named."""

import inspect
import pkgutil
from importlib.metadata import version
from typing import Any

import pytest


class Library:
    """An installed library, by the name that it is installed under."""

    def __init__(self, name: str) -> None:
        self._name = name

    def fail(self, what: str) -> None:
        """End the test; the message says which version of which library did not have `what`."""
        pytest.fail(f"{self._name} {version(self._name)}: {what}", pytrace=False)

    def require(self, is_so: object, what: str) -> None:
        """Require what no lookup can show."""
        if not is_so:
            self.fail(f"no longer so: {what}")

    def find(self, name: str) -> Any:
        """Return what a dotted name stands for."""
        try:
            return pkgutil.resolve_name(name)
        except (ImportError, AttributeError):
            return self.fail(f"{name} is gone")

    def require_call(self, name: str, /, *arguments: Any, **options: Any) -> None:
        """Require that a callable takes arguments in the way in which our code gives them."""
        signature = inspect.signature(self.find(name))
        try:
            signature.bind(*arguments, **options)
        except TypeError as error:
            self.fail(f"{name}{signature} is not to be called as we do: {error}")

    def require_attributes(self, name: str, *attributes: str) -> None:
        """Require that the class `name` sets attributes of its instances when they are made."""
        names = self.find(f"{name}.__init__").__code__.co_names
        for attribute in attributes:
            self.require(attribute in names, f"{name} has the attribute {attribute}")
