"""Reading back a transcript from the JSON file that was written of it."""

import json
from dataclasses import fields
from typing import Any

from pydantic import ValidationError

from longform.errors import ParameterError
from longform.params import FrozenModel
from longform.transcript.output import OutputSegment, OutputWord, TranscribeOutput

_WORD_FIELDS = frozenset(field.name for field in fields(OutputWord))


def read_output(content: bytes, name: str) -> TranscribeOutput:
    """Return the transcript in a JSON file; what only OpenAI's format has is left out.

    Raises:
        ParameterError: it is no transcript of longform.
    """
    try:
        document = json.loads(content)
        segments = [_segment(segment) for segment in document["segments"]]
        return TranscribeOutput.model_validate(
            _fields(TranscribeOutput, document) | {"segments": segments}
        )
    except (ValueError, TypeError, KeyError, AttributeError, ValidationError) as error:
        raise ParameterError(f"{name} is no transcript of longform") from error


def _segment(segment: dict[str, Any]) -> dict[str, Any]:
    words = [
        {name: value for name, value in word.items() if name in _WORD_FIELDS}
        for word in segment.get("words", ())
    ]
    return _fields(OutputSegment, segment) | {"words": words}


def _fields(model: type[FrozenModel], values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in model.model_fields}
