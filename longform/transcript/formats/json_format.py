"""JSON: the contract of `TranscribeOutput` and OpenAI's `verbose_json` in one document."""

import json
from typing import Any

from longform.transcript.formats.rendering import Rendering
from longform.transcript.output import OutputSegment, OutputWord, TranscribeOutput

_FRAMES_PER_SEC = 100  # `seek` counts mel frames of 10 ms


class JsonFormat:
    """Every field of the output, and those that readers of `verbose_json` look for."""

    suffix = ".json"

    def render(self, rendering: Rendering) -> str:
        """Return the document: valid JSON (no NaN), UTF-8 as it is."""
        output = rendering.output
        document = _verbose_json(output) | _contract(output)
        document["segments"] = [
            _verbose_segment(segment) | own
            for segment, own in zip(output.segments, document["segments"], strict=True)
        ]
        return json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n"


def _contract(output: TranscribeOutput) -> dict[str, Any]:
    document: dict[str, Any] = output.model_dump(mode="json")
    for segment, own in zip(output.segments, document["segments"], strict=True):
        own["words"] = [
            _verbose_word(word) | fields
            for word, fields in zip(segment.words, own["words"], strict=True)
        ]
    return document


def _verbose_json(output: TranscribeOutput) -> dict[str, Any]:
    words = [_verbose_word(word) for segment in output.segments for word in segment.words]
    head = {
        "task": output.task,
        "language": output.language,
        "duration": output.input_duration_sec,
        "text": output.text,
    }
    return head | ({"words": words} if words else {})


def _verbose_segment(segment: OutputSegment) -> dict[str, Any]:
    return {
        "id": segment.id,
        "seek": round(segment.start_time_sec * _FRAMES_PER_SEC),
        "start": segment.start_time_sec,
        "end": segment.end_time_sec,
    }


def _verbose_word(word: OutputWord) -> dict[str, Any]:
    return {
        "word": word.word,
        "start": word.start_time_sec,
        "end": word.end_time_sec,
        "probability": word.probability,
    }
