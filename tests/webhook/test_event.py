"""What a webhook says: laws of its id, and nothing that should stay secret."""

from datetime import UTC, datetime

from hypothesis import assume, given
from hypothesis import strategies as st

from longform.webhook.event import (
    MAX_FILES,
    MAX_MESSAGE_CHARACTERS,
    RunEnded,
    WebhookEvent,
    shown_files,
    shown_message,
)

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def event(run_id: str, attempt: int, kind: str, message: str = "") -> WebhookEvent:
    """Return an event of the test."""
    data = RunEnded(run_id=run_id, run_name="r", attempt=attempt, status="failed", message=message)
    return WebhookEvent(type=kind, timestamp=datetime.now(UTC), data=data)


@given(
    one=st.tuples(st.uuids(), st.integers(1, 9), st.sampled_from(["a.completed", "a.failed"])),
    other=st.tuples(st.uuids(), st.integers(1, 9), st.sampled_from(["a.completed", "a.failed"])),
)
def test_the_id_is_that_of_one_end_of_one_run(
    one: tuple[object, int, str], other: tuple[object, int, str]
) -> None:
    """Ids are equal exactly where run, attempt and kind are, whatever else the event says."""
    first = event(str(one[0]), one[1], one[2])
    assert first.id == event(str(one[0]), one[1], one[2], message="more is known now").id
    assert (first.id == event(str(other[0]), other[1], other[2]).id) == (one == other)


@given(before=words, secret=st.text("0123456789abcdef", min_size=12, max_size=12), after=words)
def test_a_message_is_one_short_line_without_signatures(
    before: str, secret: str, after: str
) -> None:
    """The query and the user of an address in a message never leave; nor do control signs."""
    assume(secret not in before + after)
    address = f"https://user:{secret}@host.example/a.mp3?signature={secret}"
    shown = shown_message(f"{before[:20]} {address} {after[:20]}")
    assert secret not in shown
    assert "https://host.example/a.mp3" in shown
    assert shown.isprintable()
    assert len(shown_message("x" * 9_999)) == MAX_MESSAGE_CHARACTERS


def test_files_are_few_and_redacted() -> None:
    """A run of a thousand files still makes a small payload, without a signature in it."""
    shown = shown_files([f"s3://bucket/{number}.json?X-Sig=abc" for number in range(1_000)])
    assert len(shown) == MAX_FILES
    assert shown[0] == "s3://bucket/0.json"
