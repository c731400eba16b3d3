"""The plan of a windowed recording: all of it, and no searches further ahead than needed."""

from types import SimpleNamespace
from typing import Any, cast

from longform.audio import SAMPLE_RATE_HZ, Span, require_tiling
from longform.chunking.macro import Split
from longform.params import TranscribeParams
from longform.pipeline.planning import SEARCHES_AHEAD, windowed_chunks

HOURS = 10
TOTAL = HOURS * 3_600 * SAMPLE_RATE_HZ


async def test_boundaries_are_searched_a_few_ahead_of_their_chunks() -> None:
    """Whoever takes chunks slowly leaves the later boundaries of ten hours for later."""
    started: list[int] = []

    async def find(boundary_sample: int) -> Split:
        started.append(boundary_sample)
        return Split(sample=boundary_sample, kind="pause", is_silent=True)

    recording = cast(Any, SimpleNamespace(media=SimpleNamespace(num_samples_estimate=TOTAL)))
    taken = []
    async for chunk in windowed_chunks(recording, TranscribeParams(), find):
        taken.append(chunk)
        assert len(started) <= len(taken) + SEARCHES_AHEAD
    assert len(taken) == HOURS * 12
    assert len(started) == len(taken) - 1
    require_tiling([chunk.span for chunk in taken], Span(0, TOTAL))
