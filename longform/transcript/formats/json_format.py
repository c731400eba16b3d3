"""JSON: the contract of `TranscribeOutput` and OpenAI's `verbose_json` in one document."""

import json
from collections.abc import Iterable, Iterator, Mapping
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
        words = [word for segment in output.segments for word in segment.words]
        # A list of all words in dictionaries would take more room than the whole transcript.
        lists = {"words": map(_verbose_word, words), "segments": map(_segment, output.segments)}
        document = _verbose_json(output, has_words=bool(words)) | _contract(output)
        return "".join(_pieces(document, lists))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _pieces(
    document: Mapping[str, Any], lists: Mapping[str, Iterable[dict[str, Any]]]
) -> Iterator[str]:
    """Yield a document piece by piece, so that no large part of it is there twice."""
    for number, (name, value) in enumerate(document.items()):
        yield f"{', ' if number else '{'}{_json(name)}: "
        if name not in lists:
            yield _json(value)
            continue
        yield "["
        for index, item in enumerate(lists[name]):
            yield f"{', ' if index else ''}{_json(item)}"
        yield "]"
    yield "}\n"


def _contract(output: TranscribeOutput) -> dict[str, Any]:
    without = output.model_copy(update={"segments": ()})
    document: dict[str, Any] = without.model_dump(mode="json")
    return document


def _verbose_json(output: TranscribeOutput, *, has_words: bool) -> dict[str, Any]:
    head = {
        "task": output.task,
        "language": output.language,
        "duration": output.input_duration_sec,
        "text": output.text,
    }
    return head | ({"words": []} if has_words else {})


def _segment(segment: OutputSegment) -> dict[str, Any]:
    own = segment.model_dump(mode="json")
    own["words"] = [
        _verbose_word(word) | fields
        for word, fields in zip(segment.words, own["words"], strict=True)
    ]
    return _verbose_segment(segment) | own


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
