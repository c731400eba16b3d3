"""The answer of any transcription server as a result of ours; most of its fields may be missing.

Read with care: servers differ in what they leave out, in where they put words, and in whether
those carry their spaces and punctuation. Times outside the chunk are moved into it.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from longform.audio import Span, to_samples
from longform.speech.engine import DecodeOptions, MicroResult
from longform.transcript.languages import language_code
from longform.transcript.segment import DecodePath, Segment, Word

UNKNOWN_LANGUAGE = "und"  # BCP 47: undetermined


def parse_answer(document: dict[str, Any], span: Span, options: DecodeOptions) -> MicroResult:
    """Return what a server heard in the micro chunk that lies at `span`."""
    language = options.language or language_code(_text(document.get("language")))
    language = language or UNKNOWN_LANGUAGE
    probability = _number(document.get("language_probability"))
    found = [entry for entry in _entries(document.get("segments")) if _text(entry.get("text"))]
    if not found and _text(document.get("text")):
        found = [{"text": document["text"]}]
    path: DecodePath = "beam" if options.beam_size > 1 else "greedy"
    segments = [_segment(entry, span, language, path) for entry in found]
    if options.word_timestamps:
        loose = _timed(_entries(document.get("words")), span)
        words = [_timed(_entries(entry.get("words")), span) for entry in found]
        segments = [
            _with_words(each, own or _within(loose, segments, at))
            for at, (each, own) in enumerate(zip(segments, words, strict=True))
        ]
    in_time = sorted(segments, key=lambda segment: segment.start_sample)
    return MicroResult(tuple(in_time), language, 1.0 if probability is None else probability)


def _segment(entry: dict[str, Any], span: Span, language: str, path: DecodePath) -> Segment:
    start, end = _place(entry, span)
    temperature = _number(entry.get("temperature")) or 0.0
    tokens = entry.get("tokens")
    return Segment(
        start_sample=start,
        end_sample=end,
        text=_text(entry["text"]),
        language=language,
        tokens=tuple(t for t in tokens if isinstance(t, int)) if isinstance(tokens, list) else (),
        temperature=temperature,
        avg_logprob=_number(entry.get("avg_logprob")),
        no_speech_prob=_number(entry.get("no_speech_prob")),
        compression_ratio=_number(entry.get("compression_ratio")),
        decode_path="fallback" if temperature > 0 else path,
    )


def _timed(entries: Sequence[dict[str, Any]], span: Span) -> list[Word]:
    """Return the words that have text and times, in order; none begins before the last."""
    words: list[Word] = []
    for entry in entries:
        text = _text(entry.get("word"))
        if not text.strip() or _number(entry.get("start")) is None:
            continue
        start, end = _place(entry, span)
        start = max(start, words[-1].start_sample if words else start)
        probability = _number(entry.get("probability"))
        words.append(
            Word(start_sample=start, end_sample=max(start, end), text=text, probability=probability)
        )
    return words


def _within(words: Sequence[Word], segments: Sequence[Segment], at: int) -> list[Word]:
    """Return the words whose middle lies in a segment; those between two go to the earlier."""
    starts = [segment.start_sample for segment in segments]
    low = starts[at] if at else 0
    high = starts[at + 1] if at + 1 < len(starts) else math.inf
    return [word for word in words if low <= (word.start_sample + word.end_sample) / 2 < high]


def _with_words(segment: Segment, words: Sequence[Word]) -> Segment:
    """Give words the spaces and marks that the text has around them.

    Words that are not those of the text are left out: their times would be of something else.
    """
    parts = _cut(segment.text, [word.text.strip() for word in words])
    if not parts:
        return segment
    earliest = segment.start_sample
    fitted = tuple(
        replace(
            word,
            text=part,
            start_sample=max(word.start_sample, earliest),
            end_sample=max(word.end_sample, earliest),
        )
        for word, part in zip(words, parts, strict=True)
    )
    end = max(segment.end_sample, *(word.end_sample for word in fitted))
    return segment.model_copy(update={"words": fitted, "end_sample": end})


def _cut(text: str, words: Sequence[str]) -> list[str]:
    """Cut a text so that each part holds one of the words; nothing where one is missing.

    What stands between two words belongs to the first up to its blank, then to the second.
    """
    cuts, position = [0], 0
    for number, word in enumerate(words):
        place = text.find(word, position)
        if place < 0:
            return []
        if number:
            blank = re.search(r"\s", text[position:place])
            cuts.append(position + blank.start() if blank else place)
        position = place + len(word)
    return [text[a:b] for a, b in pairwise([*cuts, len(text)])] if words else []


def _place(entry: dict[str, Any], span: Span) -> tuple[int, int]:
    start_sec, end_sec = _number(entry.get("start")), _number(entry.get("end"))
    start = span.start_sample if start_sec is None else _clamped(start_sec, span)
    end = span.end_sample if end_sec is None else _clamped(end_sec, span)
    return start, max(start, end)


def _clamped(seconds: float, span: Span) -> int:
    within_sec = min(max(seconds, 0.0), span.duration_sec)
    return min(span.start_sample + to_samples(within_sec), span.end_sample)


def _entries(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
