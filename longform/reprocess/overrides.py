"""Parameters of one file, over those of the run: as a list or a command line writes them."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel

from longform.params import TranscribeParams, parse_params


@cache
def known_names() -> frozenset[str]:
    """Return the names of all parameters; those of a group as `vad.threshold`."""
    names = set()
    for name, field in TranscribeParams.model_fields.items():
        group = field.annotation
        if isinstance(group, type) and issubclass(group, BaseModel):
            names |= {f"{name}.{inner}" for inner in group.model_fields}
        else:
            names.add(name)
    return frozenset(names)


def unknown_name(values: Mapping[str, Any]) -> str | None:
    """Return the first name that is neither a parameter nor a group of them."""
    known = known_names() | {name.partition(".")[0] for name in known_names()}
    return next((name for name in values if name not in known), None)


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by dotted names as the parameters nest them; texts of lists are split."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        group, _, inner = name.rpartition(".")
        target = found.setdefault(group, {}) if group else found
        if not isinstance(target, dict):
            target = found[group] = {}
        target[inner] = _listed(value) if name == "languages" else value
    return found


def overridden(params: TranscribeParams, overrides: Mapping[str, Any]) -> TranscribeParams:
    """Return parameters with some replaced; of a group, those that are named.

    Raises:
        ParameterError: one of them is unknown or out of bounds.
    """
    if not overrides:
        return params
    return parse_params(_merged(params.model_dump(), overrides))


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    return {**base} | {
        name: _merged(base[name], value)
        if isinstance(value, Mapping) and isinstance(base.get(name), Mapping)
        else value
        for name, value in over.items()
    }


def _listed(value: object) -> Iterable[str] | object:
    return value.replace(",", " ").split() if isinstance(value, str) else value
