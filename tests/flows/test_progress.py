"""What the artifact of a run says of how far it is."""

from flows.progress import BatchProgress, RecordingProgress
from longform.runs.progress_events import RunProgress, progress_listener
from longform.transcript.segment import Segment
from tests.support.chunk_news import SECOND, begun, micro, result


def test_the_listener_of_the_caller_is_told() -> None:
    """It is the one that was installed when the run began."""
    told: list[RunProgress] = []
    token = progress_listener.set(told.append)
    reporter = RecordingProgress("a.mp3")
    progress_listener.reset(token)
    reporter.stage("transcribing")
    assert [(now.source_name, now.stage) for now in told] == [("a.mp3", "transcribing")]


def test_what_was_heard_is_shown_while_more_is_heard() -> None:
    """The artifact has the lines of the chunk that ended, and the newest line of those that run."""
    reporter = RecordingProgress("a.mp3")
    for event in (begun(0), begun(1), micro(1, 70, "and then")):
        reporter.chunk_event(event)
    assert reporter.describe().splitlines()[2:] == ["`0:01:09` and then"]
    words = [Segment(start_sample=5 * SECOND, end_sample=6 * SECOND, text=" *So*", language="en")]
    reporter.chunk_done(result(0).model_copy(update={"segments": tuple(words)}), cached=False)
    lines = [line for line in reporter.describe().splitlines() if line]
    assert lines[0].startswith("a.mp3: 1/? chunks")
    assert lines[1:] == [r"`0:00:05` \*So\*", "`0:01:09` and then"]


def test_a_bulk_run_shows_its_files() -> None:
    """How many have ended and failed, what has been done of all, and which are open."""
    batch = BatchProgress()
    assert batch.describe() == "0 of 0 files, 0.00 h of audio, 0.0 x real time: reading the lists"
    batch.expect_parts(3)
    batch.stage("transcribing")
    first, second = batch.part(1, "one.mp3"), batch.part(2, "two.mp3")
    first.chunk_done(result(0), cached=True)
    second.expect(1, 60 * SECOND)
    batch.part_ended(1, has_failed=True)
    shown = batch.describe()
    assert shown == "1 of 3 files, 1 failed, 0.02 h of audio, 0.0 x real time: two.mp3"
