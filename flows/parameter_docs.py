"""Descriptions of a flow's parameters where Prefect's form looks for them: in the docstring.

Prefect keeps the bounds that `Annotated` gives a parameter, and loses its description.
"""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, get_type_hints

from pydantic.fields import FieldInfo

F = TypeVar("F", bound=Callable[..., Any])


def with_parameter_docs(function: F) -> F:
    """Append the description of every parameter that has one to the docstring of a function."""
    lines = [
        f"    {name}: {description}"
        for name, hint in get_type_hints(function, include_extras=True).items()
        if (description := _description(hint))
    ]
    function.__doc__ = "\n".join([inspect.getdoc(function) or "", "", "Args:", *lines])
    return function


def _description(hint: object) -> str | None:
    metadata = getattr(hint, "__metadata__", ())
    found = (each.description for each in metadata if isinstance(each, FieldInfo))
    return next(filter(None, found), None)
