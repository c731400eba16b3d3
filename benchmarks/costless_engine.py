"""A speech engine that costs nothing and says as much as a real one, for `orchestration`.

Worker processes reach it as the backend `benchmarks.costless_engine:create`. Every micro chunk,
however short, gets the text of 30 s of speech, so that what is sent, checked and stored for a
macro chunk has its usual size.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from longform.speech.engine import DecodeOptions, EngineSpec, MicroRequest, MicroResult
from longform.transcript.segment import Segment, Word

SLEEP_VARIABLE = "LONGFORM_BENCH_SLEEP_SEC"  # what every call takes; 0 by default
NUM_SEGMENTS = 8  # in 30 s of speech
WORDS_PER_SEGMENT = 9  # 2.4 words a second


def create(spec: EngineSpec, home: Path) -> "CostlessEngine":
    """Return an engine; the environment says how long its calls take."""
    return CostlessEngine(float(os.environ.get(SLEEP_VARIABLE, "0")))


class CostlessEngine:
    """Eight segments of nine words for every micro chunk, spread evenly over it."""

    identity = "costless, decoder 1"

    def __init__(self, sleep_sec: float = 0.0) -> None:
        self._sleep_sec = sleep_sec

    def transcribe(
        self, batch: Sequence[MicroRequest], options: DecodeOptions
    ) -> list[MicroResult]:
        """Sleep as long as was asked for, then answer."""
        time.sleep(self._sleep_sec)
        return [_result(request) for request in batch]


def _result(request: MicroRequest) -> MicroResult:
    span = request.chunk.span
    start, length = span.start_sample, span.num_samples // NUM_SEGMENTS
    # Segments are copied rather than validated: only the places in them are new.
    segments = tuple(
        _template().model_copy(
            update={
                "start_sample": (at := start + number * length),
                "end_sample": at + length,
                "words": tuple(
                    replace(
                        word,
                        start_sample=at + place * length // WORDS_PER_SEGMENT,
                        end_sample=at + (place + 1) * length // WORDS_PER_SEGMENT,
                    )
                    for place, word in enumerate(_template().words)
                ),
            }
        )
        for number in range(NUM_SEGMENTS)
    )
    return MicroResult(segments, "en", 0.99)


@cache
def _template() -> Segment:
    words = tuple(
        Word(start_sample=0, end_sample=1, text=f" word{place}", probability=0.987654321)
        for place in range(WORDS_PER_SEGMENT)
    )
    return Segment(
        start_sample=0,
        end_sample=1,
        text="".join(word.text for word in words),
        language="en",
        language_probability=0.99,
        words=words,
        tokens=tuple(range(1_000, 1_000 + 2 * WORDS_PER_SEGMENT)),
        avg_logprob=-0.123456789,
        no_speech_prob=0.012345678,
        compression_ratio=1.456789,
    )
