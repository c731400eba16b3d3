"""What a run counts of its chunks, and of its parts."""

import pytest

from longform.runs.progress_events import RunProgress
from longform.runs.progress_tracker import RunProgressTracker
from tests.support.chunk_news import SECOND, begun, micro, result


@pytest.fixture
def told() -> list[RunProgress]:
    """Return what a listener is told, in order."""
    return []


@pytest.fixture
def tracker(told: list[RunProgress]) -> RunProgressTracker:
    """Return a tracker that tells it."""
    return RunProgressTracker("a.mp3", listener=told.append)


def test_a_chunk_is_followed_from_its_start_to_its_end(
    tracker: RunProgressTracker, told: list[RunProgress]
) -> None:
    """How far it is, whatever came of its silence and its guards; then it counts as a whole."""
    tracker.expect(2, 120 * SECOND)
    for event in (begun(1), micro(1, 90, "so it was"), micro(1, 75), micro(1, 125)):
        tracker.chunk_event(event)
    done = [now.done_samples // SECOND for now in told[1:]]
    assert done == [0, 30, 30, 60]  # never back, and a guard does not count
    assert [chunk.macro_chunk for chunk in told[-1].running] == [1]
    assert (told[-1].last_text, told[-1].last_text_sample) == ("so it was", 89 * SECOND)
    tracker.chunk_done(result(1), cached=False)
    tracker.chunk_event(micro(1, 90))  # overtaken by the result
    assert (told[-1].done_samples, told[-1].running) == (60 * SECOND, ())
    assert told[-1].done_chunks == 1


def test_a_chunk_that_is_begun_again_starts_at_nothing(
    tracker: RunProgressTracker, told: list[RunProgress]
) -> None:
    """Where a worker has died, what it had done is not counted twice."""
    for event in (begun(0), micro(0, 50), begun(0, "host:2"), micro(0, 20)):
        tracker.chunk_event(event)
    assert [now.done_samples // SECOND for now in told] == [0, 50, 0, 20]
    assert [chunk.worker for chunk in told[-1].running] == ["host:2"]


def test_what_was_cached_does_not_count_as_speed(
    tracker: RunProgressTracker, told: list[RunProgress]
) -> None:
    """Speed and time left are of the work that is done, not of what was found."""
    tracker.expect(2, 120 * SECOND)
    tracker.chunk_done(result(0), cached=True)
    assert (told[-1].speed, told[-1].remaining_sec, told[-1].fraction) == (0.0, None, 0.5)
    tracker.chunk_event(begun(1))
    tracker.chunk_event(micro(1, 90))
    now = told[-1]
    assert now.speed == pytest.approx(30 / now.working_sec)
    assert now.remaining_sec == pytest.approx(30 / now.speed)


def test_a_failed_chunk_counts_as_gone_through(
    tracker: RunProgressTracker, told: list[RunProgress]
) -> None:
    """Its audio is no longer to be done, and it is no done chunk."""
    tracker.expect(2, 120 * SECOND)
    tracker.chunk_event(begun(0))
    tracker.chunk_failed(0, 60 * SECOND)
    now = told[-1]
    assert (now.failed_chunks, now.done_chunks, now.fraction, now.running) == (1, 0, 0.5, ())


def test_channels_add_up_to_the_whole(tracker: RunProgressTracker, told: list[RunProgress]) -> None:
    """How much there is in all is known once it is known of every channel."""
    tracker.channels([0, 1], 60 * SECOND)
    tracker.expect(1, 60 * SECOND, channel=0)
    assert (told[-1].total_chunks, told[-1].total_samples) == (None, 120 * SECOND)
    tracker.expect(2, 60 * SECOND, channel=1)
    assert told[-1].total_chunks == 3


def test_parts_add_up_and_what_they_did_stays(
    tracker: RunProgressTracker, told: list[RunProgress]
) -> None:
    """Of a part that ended its sums are kept; the share counts parts as of one length."""
    tracker.expect_parts(4)
    first, second = tracker.part(1, "one.mp3"), tracker.part(2, "two.mp3")
    for part in (first, second):
        part.expect(2, 120 * SECOND)
        part.chunk_done(result(0), cached=part is first)
    second.chunk_event(begun(1))
    now = told[-1]
    assert (now.done_chunks, now.cached_chunks) == (2, 1)
    assert [chunk.macro_chunk for chunk in now.running] == [1]
    assert tracker.fraction == now.fraction == pytest.approx(0.25)
    tracker.part_ended(1, has_failed=False)
    assert (told[-1].done_chunks, told[-1].done_samples) == (2, 120 * SECOND)
    assert told[-1].source_name == "1 of 4 files"
    assert tracker.fraction == pytest.approx(1.5 / 4)


def test_the_newest_words_of_any_part_are_those_of_the_run(
    tracker: RunProgressTracker, told: list[RunProgress]
) -> None:
    """With their place in their recording; a part without words does not take them away."""
    tracker.expect_parts(2)
    first, second = tracker.part(1, "one.mp3"), tracker.part(2, "two.mp3")
    first.chunk_event(begun(0))
    first.chunk_event(micro(0, 30, "so it was"))
    second.chunk_event(begun(0))
    assert (told[-1].last_text, told[-1].last_text_sample) == ("so it was", 29 * SECOND)


def test_a_part_that_never_began_is_counted_when_it_ends(
    tracker: RunProgressTracker, told: list[RunProgress]
) -> None:
    """Such as a file that cannot be opened."""
    tracker.expect_parts(2)
    tracker.part(1, "one.mp3")
    tracker.part_ended(1, has_failed=True)
    assert (told[-1].source_name, tracker.fraction) == ("1 of 2 files", 0.5)
