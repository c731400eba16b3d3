"""A transcript in the formats of OpenAI's API."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import Response

from longform.params import Task
from longform.serving.speech_request import Granularity, ResponseFormat
from longform.speech.remote.chunk_protocol import ANSWER_FIELD, ChunkAnswer
from longform.transcript.formats import FORMATS
from longform.transcript.formats.rendering import Rendering
from longform.transcript.output import OutputSegment, OutputWord, TranscribeOutput

_FRAMES_PER_SEC = 100  # `seek` counts mel frames of 10 ms
_ENGLISH = "english"  # what a translation is in

Granularities = frozenset[Granularity]


def answer(
    output: TranscribeOutput, response_format: ResponseFormat, granularities: Granularities
) -> Response:
    """Return a transcript as the response that was asked for."""
    return _RENDER[response_format](output, granularities)


def chunk_answer(answer: ChunkAnswer) -> Response:
    """Return what was heard in a micro chunk: its text, and all that its sender needs."""
    text = "".join(segment.text for segment in answer.result.segments).strip()
    exact = json.loads(answer.model_dump_json())
    return _json({"text": text, ANSWER_FIELD: exact})


def _plain_json(output: TranscribeOutput, _: Granularities) -> Response:
    return _json({"text": output.text, "usage": _usage(output)})


def _verbose_json(output: TranscribeOutput, granularities: Granularities) -> Response:
    document: dict[str, Any] = {
        "task": output.task,
        "language": _language(output, output.task),
        "duration": output.input_duration_sec,
        "text": output.text,
        "usage": _usage(output),
    }
    if "segment" in granularities:
        document["segments"] = [_segment(segment) for segment in output.segments]
    if "word" in granularities:
        words = (word for segment in output.segments for word in segment.words)
        document["words"] = [_word(word) for word in words]
    return _json(document)


def _text(output: TranscribeOutput, _: Granularities) -> Response:
    return Response(f"{output.text}\n", media_type="text/plain")


def _srt(output: TranscribeOutput, _: Granularities) -> Response:
    return Response(FORMATS["srt"].render(Rendering(output)), media_type="text/plain")


def _vtt(output: TranscribeOutput, _: Granularities) -> Response:
    return Response(FORMATS["vtt"].render(Rendering(output)), media_type="text/vtt")


_RENDER: Mapping[ResponseFormat, Callable[[TranscribeOutput, Granularities], Response]] = {
    "json": _plain_json,
    "verbose_json": _verbose_json,
    "text": _text,
    "srt": _srt,
    "vtt": _vtt,
}


def _json(document: dict[str, Any]) -> Response:
    content = json.dumps(document, ensure_ascii=False, allow_nan=False)
    return Response(content, media_type="application/json")


def _language(output: TranscribeOutput, task: Task) -> str | None:
    return _ENGLISH if task == "translate" else output.language


def _usage(output: TranscribeOutput) -> dict[str, Any]:
    return {"type": "duration", "seconds": output.input_duration_sec}


def _segment(segment: OutputSegment) -> dict[str, Any]:
    return {
        "id": segment.id,
        "seek": round(segment.start_time_sec * _FRAMES_PER_SEC),
        "start": segment.start_time_sec,
        "end": segment.end_time_sec,
        "text": segment.text,
        "tokens": list(segment.tokens),
        "temperature": segment.temperature,
        "avg_logprob": segment.avg_logprob,
        "compression_ratio": segment.compression_ratio,
        "no_speech_prob": segment.no_speech_prob,
    }


def _word(word: OutputWord) -> dict[str, Any]:
    return {
        "word": word.word.strip(),
        "start": word.start_time_sec,
        "end": word.end_time_sec,
        "probability": word.probability,
    }
