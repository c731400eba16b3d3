"""What is reported of macro chunks of 60 s: that they begin, how far they are, what they give."""

from longform.runs.progress_events import ChunkBegun, MicroDone
from longform.transcript.segment import ChunkResult, ChunkStats

SECOND = 16_000  # samples


def begun(number: int, worker: str = "host:1") -> ChunkBegun:
    """Return that a worker takes up a chunk of 60 s."""
    start = 60 * SECOND * number
    return ChunkBegun(
        macro_chunk=number, worker=worker, start_sample=start, end_sample=start + 60 * SECOND
    )


def micro(number: int, end_sec: float, text: str = "") -> MicroDone:
    """Return that a chunk has come to a place in the recording."""
    return MicroDone(
        macro_chunk=number,
        worker="host:1",
        end_sample=round(end_sec * SECOND),
        text=text,
        text_sample=round(end_sec * SECOND) - SECOND,
    )


def result(number: int) -> ChunkResult:
    """Return the result of a chunk of 60 s."""
    return ChunkResult(
        key="k",
        index=number,
        start_sample=60 * SECOND * number,
        end_sample=60 * SECOND * (number + 1),
        segments=(),
        coverage=(),
        stats=ChunkStats(worker="host:1", processing_sec=1.0, num_micro_chunks=2),
    )
