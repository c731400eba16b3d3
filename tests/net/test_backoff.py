"""How long is waited between tries."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest

from longform.errors import (
    SourceThrottledError,
    SourceUnavailableError,
    SourceUnreliableError,
)
from longform.net.backoff import Backoff, FailureTimeBudget, parse_retry_after
from longform.net.policy import SourcePolicy

POLICY = SourcePolicy(max_attempts=6, backoff_base_sec=1.0, backoff_max_sec=10.0)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were asked for; none is really made."""
    made: list[float] = []

    async def sleep(seconds: float) -> None:
        made.append(seconds)

    # Not `asyncio.sleep` itself: other threads of this process sleep too.
    monkeypatch.setattr("longform.net.backoff.asyncio", SimpleNamespace(sleep=sleep))
    return made


async def test_pauses_grow_and_end(pauses: list[float]) -> None:
    """Pauses double up to the ceiling, with jitter, and the last failure is raised."""
    backoff, error = Backoff(POLICY), SourceUnavailableError("down")
    for _ in range(5):
        await backoff.wait(error)
    with pytest.raises(SourceUnavailableError):
        await backoff.wait(error)
    assert len(pauses) == 5
    for number, pause in enumerate(pauses, 1):
        longest = min(10.0, 2.0**number)
        assert longest / 2 <= pause <= longest


async def test_retry_after_is_honoured_up_to_the_ceiling(pauses: list[float]) -> None:
    """A server's wish counts when it is longer than the backoff, but not without limit."""
    backoff = Backoff(POLICY)
    for asked in (7.0, 3_600.0):
        error = SourceThrottledError("busy")
        error.retry_after_sec = asked
        await backoff.wait(error)
    assert pauses == [7.0, 10.0]


async def test_progress_renews_patience(pauses: list[float]) -> None:
    """After something new arrived, the count of tries starts again."""
    backoff, error = Backoff(POLICY), SourceUnavailableError("down")
    for _ in range(20):
        backoff.renew()
        await backoff.wait(error)
    assert len(pauses) == 20


def test_retry_after_forms() -> None:
    """Seconds and HTTP dates are understood; nonsense is ignored."""
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert parse_retry_after("17") == 17.0
    assert 50 < (parse_retry_after(soon) or 0) <= 60
    assert parse_retry_after("Sat, 01 Nov 2025 10:00:00 GMT") == 0.0
    assert parse_retry_after("soon") is None
    assert parse_retry_after(None) is None


@pytest.mark.parametrize("value", ["-5", "1e9", "²", "99999999999999999999 GMT", "", "\0"])
def test_odd_retry_after_headers_are_no_crash(value: str) -> None:
    """Whatever a server writes there is a number of seconds or nothing."""
    assert parse_retry_after(value) in (None, 0.0)


def test_a_date_counts_by_the_clock_of_the_server() -> None:
    """Where our clock is wrong, the pause is still the one that was meant."""
    then = datetime(2031, 5, 1, 12, 0, 0, tzinfo=UTC)
    asked = format_datetime(then + timedelta(seconds=20), usegmt=True)
    assert parse_retry_after(asked, then) == 20.0


def test_lost_time_is_bounded_and_earned_by_progress() -> None:
    """Failing tries may cost so much time in all; bytes that arrive add to it at the rate floor."""
    budget = FailureTimeBudget(POLICY.model_copy(update={"max_lost_sec": 10.0}), "the source")
    error = SourceUnavailableError("down")
    budget.spend(9.0, error)
    budget.earn(4_000)  # 2 s at 2,000 bytes a second
    budget.spend(2.5, error)
    with pytest.raises(SourceUnreliableError) as caught:
        budget.spend(1.0, error)
    assert caught.value.__cause__ is error
