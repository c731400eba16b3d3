"""What a form asks for, checked: OpenAI's fields, and the note that comes with a micro chunk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

from pydantic import ValidationError

from longform.errors import ParameterError
from longform.params import Task, TranscribeParams, parse_params
from longform.serving.api_error import ApiError
from longform.speech.remote.chunk_protocol import CHUNK_FIELD, ChunkMetadata
from longform.transcript.languages import language_code

ResponseFormat = Literal["json", "text", "srt", "verbose_json", "vtt"]
Granularity = Literal["segment", "word"]

GRANULARITIES = "timestamp_granularities[]"
_SINGLE = (
    "model",
    "language",
    "prompt",
    "response_format",
    "temperature",
    "hotwords",
    CHUNK_FIELD,
)
# What OpenAI's API has beyond that, with the values that ask for nothing special.
_WITHOUT_EFFECT: Mapping[str, tuple[str, ...]] = {
    "stream": ("false",),
    "chunking_strategy": ("auto",),
    "include[]": (),
    "known_speaker_names[]": (),
    "known_speaker_references[]": (),
}
_MAX_TEMPERATURE = 1.0


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """One request; `note` is there where the upload is a micro chunk that is cut already."""

    params: TranscribeParams
    response_format: ResponseFormat
    granularities: frozenset[Granularity]
    note: ChunkMetadata | None = None


def parse_form(
    fields: Sequence[tuple[str, str]], task: Task, models: Sequence[str], base: TranscribeParams
) -> SpeechRequest:
    """Return what a form asks for.

    Args:
        fields: names and values, in order.
        task: what the endpoint does.
        models: names of the model that is served.
        base: parameters of the service.

    Raises:
        ApiError: 400 or 404, naming the field at fault.
    """
    single = _single(fields)
    granularities = _granularities(fields)
    require_model(single.get("model"), models)
    response_format = _one_of("response_format", single.get("response_format"), ResponseFormat)
    if granularities and response_format != "verbose_json":
        raise _invalid(GRANULARITIES, "these need response_format=verbose_json")
    _require_temperature(single.get("temperature"))
    asked = {
        "task": task,
        "language": _language(single.get("language")),
        "initial_prompt": single.get("prompt") or None,
        "hotwords": single.get("hotwords") or None,
    }
    try:
        params = parse_params(base.model_dump() | asked)
    except ParameterError as error:
        field = "prompt" if "initial_prompt" in str(error) else str(error).partition(":")[0]
        raise _invalid(field, str(error)) from error
    return SpeechRequest(
        params=params,
        response_format=cast("ResponseFormat", response_format),
        granularities=granularities or frozenset({"segment"}),
        note=_note(single.get(CHUNK_FIELD), task),
    )


def require_model(name: str | None, models: Sequence[str]) -> None:
    """Check that a model is the one that is served.

    Raises:
        ApiError: 400 where none is named, 404 where it is another.
    """
    if not name:
        raise _invalid("model", f"name a model: {', '.join(models)}")
    if name not in models:
        raise ApiError(
            404,
            "model_not_found",
            f"there is no model {name!r} here: ask for {' or '.join(models)}",
            param="model",
        )


def _single(fields: Sequence[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in fields:
        if name.removesuffix("[]") == GRANULARITIES.removesuffix("[]"):
            continue
        if name in _WITHOUT_EFFECT:
            if value.lower() not in _WITHOUT_EFFECT[name]:
                raise _invalid(name, "this service does not support it", "unsupported_parameter")
        elif name not in _SINGLE:
            raise _invalid(name, "there is no such parameter", "unknown_parameter")
        elif name in found:
            raise _invalid(name, "it is given twice")
        else:
            found[name] = value
    return found


def _granularities(fields: Sequence[tuple[str, str]]) -> frozenset[Granularity]:
    values = [v for name, v in fields if name.removesuffix("[]") == GRANULARITIES[:-2]]
    return frozenset(
        cast("Granularity", _one_of(GRANULARITIES, value, Granularity)) for value in values
    )


def _one_of(name: str, value: str | None, kind: object) -> str:
    """Return a value that must be one of a Literal's; the first of them where none is given."""
    known: tuple[str, ...] = get_args(kind)
    if value and value not in known:
        raise _invalid(name, f"no {value!r}; there are {', '.join(known)}")
    return value or known[0]


def _language(given: str | None) -> str | None:
    if not given:
        return None
    code = language_code(given)
    if code is None:
        raise _invalid("language", f"no language {given!r} is known: give a code such as 'en'")
    return code


def _require_temperature(given: str | None) -> None:
    try:
        within = 0.0 <= float(given or 0.0) <= _MAX_TEMPERATURE
    except ValueError:
        within = False
    if not within:
        raise _invalid("temperature", "give a number from 0 to 1")


def _note(given: str | None, task: Task) -> ChunkMetadata | None:
    if not given:
        return None
    try:
        note = ChunkMetadata.model_validate_json(given)
    except ValidationError as error:
        raise _invalid(
            CHUNK_FIELD, "it is of another version of longform: run the same one there and here"
        ) from error
    try:
        parse_params(note.options.model_dump(exclude={"halves_follow"}))
    except ParameterError as error:
        raise _invalid(CHUNK_FIELD, str(error)) from error
    if note.options.task != task:
        raise _invalid(CHUNK_FIELD, "it is for the other endpoint")
    return note


def _invalid(param: str, message: str, code: str = "invalid_value") -> ApiError:
    return ApiError(400, code, f"{param}: {message.removeprefix(f'{param}: ')}", param=param)
