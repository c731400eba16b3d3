"""Running out of memory: smaller batches, then smaller numbers, then a clear error."""

from collections.abc import Sequence

import numpy as np
import pytest

from longform.audio import Span
from longform.chunking.micro_chunk import MicroChunk
from longform.errors import EngineUnavailableError
from longform.speech.engine import DecodeOptions, MicroRequest, MicroResult
from longform.speech.language import LanguageVotes
from longform.speech.oom_fallback import OomFallbackEngine


class SmallDevice:
    """Holds batches of at most `room` chunks; fails as CTranslate2 does."""

    identity = "small"

    def __init__(self, room: int, message: str = "CUDA failed with error out of memory") -> None:
        self.room = room
        self.message = message
        self.sizes: list[int] = []

    def transcribe(
        self, batch: Sequence[MicroRequest], options: DecodeOptions
    ) -> list[MicroResult]:
        self.sizes.append(len(batch))
        if len(batch) > self.room:
            raise RuntimeError(self.message)
        return [MicroResult((), str(each.chunk.span.start_sample), 1.0) for each in batch]


def requests(count: int) -> list[MicroRequest]:
    """Return requests told apart by their start."""
    pcm = np.zeros(1, np.int16)
    return [
        MicroRequest(MicroChunk(Span(i, i + 1), pcm, ()), LanguageVotes()) for i in range(count)
    ]


def test_a_batch_that_does_not_fit_is_halved_and_the_size_remembered() -> None:
    """Every chunk keeps its result, and the next batch does not fail first."""
    device = SmallDevice(room=3)
    engine = OomFallbackEngine(lambda _: device, ["float16"])
    results = engine.transcribe(requests(8), DecodeOptions())
    assert [result.language for result in results] == list("01234567")
    assert device.sizes == [8, 4, 2, 2, 2, 2]
    engine.transcribe(requests(4), DecodeOptions())
    assert device.sizes[6:] == [2, 2]


def test_smaller_numbers_are_tried_when_one_chunk_does_not_fit() -> None:
    """The model is loaded again with the next number type."""
    devices = {"float16": SmallDevice(room=0), "int8_float16": SmallDevice(room=1)}
    loaded: list[str] = []
    engine = OomFallbackEngine(
        lambda compute_type: loaded.append(compute_type) or devices[compute_type], [*devices]
    )
    assert len(engine.transcribe(requests(2), DecodeOptions())) == 2
    assert loaded == ["float16", "int8_float16"]


def test_there_is_an_end_to_shrinking() -> None:
    """Where nothing fits the error says what to choose instead."""
    engine = OomFallbackEngine(lambda _: SmallDevice(room=0), ["float16"])
    with pytest.raises(EngineUnavailableError, match="smaller model"):
        engine.transcribe(requests(2), DecodeOptions())


def test_other_failures_are_not_taken_for_want_of_memory() -> None:
    """An error that has nothing to do with memory is raised at once."""
    device = SmallDevice(room=0, message="invalid shape")
    engine = OomFallbackEngine(lambda _: device, ["float16", "int8_float16"])
    with pytest.raises(RuntimeError, match="invalid shape"):
        engine.transcribe(requests(2), DecodeOptions())
    assert device.sizes == [2]
