"""What the flow makes of the messages of its workers."""

from collections.abc import Iterator

import pytest

from flows.progress import ProgressReporter
from longform.runs.progress_events import ChunkBegun, MicroDone, RunProgress, progress_listener
from longform.transcript.segment import ChunkResult, ChunkStats, Segment

SECOND = 16_000


@pytest.fixture
def told() -> Iterator[list[RunProgress]]:
    """Return what a listener is told, in order."""
    news: list[RunProgress] = []
    token = progress_listener.set(news.append)
    yield news
    progress_listener.reset(token)


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


def test_a_chunk_is_followed_from_its_start_to_its_end(told: list[RunProgress]) -> None:
    """How far it is, whatever came of its silence and its guards; then it counts as a whole."""
    reporter = ProgressReporter("a.mp3")
    reporter.expect(2, 120 * SECOND)
    for event in (begun(1), micro(1, 90, "so it was"), micro(1, 75), micro(1, 125)):
        reporter.chunk_event(event)
    done = [now.done_samples // SECOND for now in told[1:]]
    assert done == [0, 30, 30, 60]  # never back, and a guard does not count
    assert [chunk.macro_chunk for chunk in told[-1].running] == [1]
    assert (told[-1].last_text, told[-1].last_text_sample) == ("so it was", 89 * SECOND)
    reporter.chunk_done(result(1), cached=False)
    reporter.chunk_event(micro(1, 90))  # overtaken by the result
    assert (told[-1].done_samples, told[-1].running) == (60 * SECOND, ())
    assert told[-1].done_chunks == 1


def test_a_chunk_that_is_begun_again_starts_at_nothing(told: list[RunProgress]) -> None:
    """Where a worker has died, what it had done is not counted twice."""
    reporter = ProgressReporter("a.mp3")
    for event in (begun(0), micro(0, 50), begun(0, "host:2"), micro(0, 20)):
        reporter.chunk_event(event)
    assert [now.done_samples // SECOND for now in told] == [0, 50, 0, 20]
    assert [chunk.worker for chunk in told[-1].running] == ["host:2"]


def test_what_was_heard_is_shown_while_more_is_heard(told: list[RunProgress]) -> None:
    """The artifact has the lines of the chunk that ended, and the newest line of those that run."""
    reporter = ProgressReporter("a.mp3")
    for event in (begun(0), begun(1), micro(1, 70, "and then")):
        reporter.chunk_event(event)
    assert reporter._describe().splitlines()[2:] == ["`0:01:09` and then"]
    words = [Segment(start_sample=5 * SECOND, end_sample=6 * SECOND, text=" *So*", language="en")]
    reporter.chunk_done(result(0).model_copy(update={"segments": tuple(words)}), cached=False)
    lines = [line for line in reporter._describe().splitlines() if line]
    assert lines[0].startswith("a.mp3: 1/? chunks")
    assert lines[1:] == [r"`0:00:05` \*So\*", "`0:01:09` and then"]


def test_what_was_cached_does_not_count_as_speed(told: list[RunProgress]) -> None:
    """Speed and time left are of the work that is done, not of what was found."""
    reporter = ProgressReporter("a.mp3")
    reporter.expect(2, 120 * SECOND)
    reporter.chunk_done(result(0), cached=True)
    assert (told[-1].speed, told[-1].remaining_sec, told[-1].fraction) == (0.0, None, 0.5)
    reporter.chunk_event(begun(1))
    reporter.chunk_event(micro(1, 90))
    now = told[-1]
    assert now.speed == pytest.approx(30 / now.working_sec)
    assert now.remaining_sec == pytest.approx(30 / now.speed)
