"""What one call of `longform transcribe` asks for, from its options."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from longform.errors import ParameterError
from longform.media.sources.local_file import portable_address
from longform.params import (
    DiarizeParams,
    FrozenModel,
    SubtitleParams,
    TranscribeParams,
    parse_params,
)
from longform.settings import Settings, with_overrides


@dataclass(frozen=True, slots=True)
class Request:
    """What one call of the command asks for, checked."""

    media: tuple[str, ...]
    params: TranscribeParams
    settings: Settings
    overrides: Mapping[str, object]  # of the settings, by options
    output_dir: str | None
    formats: tuple[str, ...]
    use_cache: bool
    as_json: bool
    print_text: bool
    quiet: bool
    verbose: bool
    is_brief: bool  # a line for each recording: there are several, on a terminal


def parse_formats(text: str) -> tuple[str, ...]:
    """Return the formats that a comma-separated list names.

    Raises:
        ParameterError: naming the unknown one and those there are.
    """
    from longform.transcript.formats import FORMATS, ON_REQUEST

    names = _listed(text.lower())
    if names == ["all"]:
        return tuple(name for name in FORMATS if name not in ON_REQUEST)
    if unknown := [name for name in names if name not in FORMATS]:
        raise ParameterError(
            f"--output-format: no format {unknown[0]!r}; there are {', '.join(FORMATS)}, all"
        )
    if not names:
        raise ParameterError(f"--output-format: name at least one of {', '.join(FORMATS)}, all")
    return tuple(dict.fromkeys(names))


def request_from(given: Mapping[str, Any]) -> Request:
    """Return the request that the options of the command make, by their names.

    Raises:
        ParameterError: one of them is out of bounds, or unknown.
    """
    params = parse_params(
        _given_fields(TranscribeParams, given)
        | {
            "languages": _listed(given["languages"] or ""),
            "diarize": {"enabled": given["diarize"]} | _given_fields(DiarizeParams, given),
            "subtitles": _given_fields(SubtitleParams, given),
        }
    )
    overrides = {
        "workers": given["workers"],
        "cluster": given["cluster"],
        "engine": given["engine"] or ("remote" if given["engine_url"] else None),
        "engine_url": given["engine_url"],
        "allow_private_hosts": given["allow_private_hosts"] or None,
    }
    watches = sys.stdout.isatty() and sys.stderr.isatty()
    return Request(
        media=tuple(map(portable_address, given["media"])),
        params=params,
        settings=with_overrides(Settings(), **overrides),
        overrides=overrides,
        output_dir=given["output_dir"],
        formats=parse_formats(given["output_format"]),
        use_cache=not given["no_cache"],
        as_json=given["as_json"],
        print_text=given["print_text"],
        quiet=given["quiet"],
        verbose=given["verbose"],
        is_brief=len(given["media"]) > 1 and watches,
    )


def _listed(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _given_fields(model: type[FrozenModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given and are fields of a model."""
    return {name: given[name] for name in model.model_fields if given.get(name) is not None}
