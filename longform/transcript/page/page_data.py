"""The data that a page's script works on: times in whole milliseconds, words as flat numbers."""

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from longform.audio import SAMPLE_RATE_HZ, to_seconds
from longform.transcript.output import OutputSegment, TranscribeOutput
from longform.transcript.page_material import PEAK_SAMPLES

_MS_PER_SEC = 1_000
_UNKNOWN = -1  # percent; a word whose probability is not known
_SHOWN = dict.fromkeys(
    (*range(9), 11, 12, 13, *range(14, 32), *range(127, 160)), "\N{REPLACEMENT CHARACTER}"
)


def page_data(output: TranscribeOutput) -> str:
    """Return the JSON of a page; safe inside a script element."""
    page = output.page
    document = {
        "durationSec": max(output.input_duration_sec, 0.001),  # the script divides by it
        "barSec": PEAK_SAMPLES / SAMPLE_RATE_HZ,
        "coverage": [[_ms(p.start_sample), _ms(p.end_sample), p.kind] for p in output.coverage],
        "macroStarts": [_ms(sample) for sample in page.macro_starts],
        "microStarts": [_ms(sample) for sample in page.micro_starts],
        "segments": [_segment(segment) for segment in output.segments],
    }
    # A "<" could end the script element, or begin a comment in it.
    return json.dumps(document, separators=(",", ":")).replace("<", "\\u003c")


def shown_text(segment: OutputSegment) -> str:
    """Return a segment's text as the page shows it: what HTML cannot hold is replaced."""
    text = segment.text.strip().translate(_SHOWN)
    return text.encode("utf-8", "replace").decode()


def _segment(segment: OutputSegment) -> list[Any]:
    start, end = _sec_ms(segment.start_time_sec), _sec_ms(segment.end_time_sec)
    return [start, end, [number for word in _words(segment, start) for number in word]]


def _words(segment: OutputSegment, segment_ms: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield place, length, start, duration and percentage of each word found in the text.

    Places and lengths count UTF-16 units, as JavaScript does.
    """
    text, position = shown_text(segment), 0
    for word in segment.words:
        bare = word.word.strip().translate(_SHOWN)
        place = text.find(bare, position)
        if not bare or place < 0:
            continue
        position = place + len(bare)
        start_ms, end_ms = _sec_ms(word.start_time_sec), _sec_ms(word.end_time_sec)
        yield (
            _units(text[:place]),
            _units(bare),
            start_ms - segment_ms,
            max(1, end_ms - start_ms),
            _percent(word.probability),
        )


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _percent(probability: float | None) -> int:
    known = probability is not None and math.isfinite(probability)
    return round(100 * probability) if known and probability is not None else _UNKNOWN


def _ms(sample: int) -> int:
    return _sec_ms(to_seconds(sample))


def _sec_ms(seconds: float) -> int:
    return round(seconds * _MS_PER_SEC)


def mean_probability(words: Sequence[Any]) -> float | None:
    """Return the mean probability of words that have one; None where none has."""
    known = [word.probability for word in words if word.probability is not None]
    return sum(known) / len(known) if known else None
