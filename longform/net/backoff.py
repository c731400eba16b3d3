"""How long to wait before a request is tried again: exponential backoff with full jitter."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from longform.errors import RetryableError, SourceThrottledError, SourceUnreliableError
from longform.net.policy import SourcePolicy

T = TypeVar("T")


def pause_sec(failures: int, base_sec: float, max_sec: float, asked_sec: float | None) -> float:
    """Return how long to wait after so many failures, or as long as the server asks for.

    Args:
        failures: tries in a row that brought nothing, from 1.
        base_sec: half of the longest first pause; each further one is twice as long.
        max_sec: no pause is longer, whatever the server asks for.
        asked_sec: what its Retry-After says, if anything.
    """
    longest_sec = min(max_sec, base_sec * 2**failures)
    return min(max_sec, max(random.uniform(longest_sec / 2, longest_sec), asked_sec or 0.0))


class Backoff:
    """Counts the tries of one request that brought nothing, and waits between them."""

    def __init__(self, policy: SourcePolicy) -> None:
        self._policy = policy
        self._failures = 0

    def renew(self) -> None:
        """Start counting again: the last try brought something new."""
        self._failures = 0

    async def call(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Return what `attempt` returns, tried again after every RetryableError.

        Raises:
            RetryableError: the last one, when there have been enough tries.
        """
        while True:
            try:
                return await attempt()
            except RetryableError as error:
                await self.wait(error)

    async def wait(self, error: RetryableError) -> None:
        """Wait before the next try, or give up.

        Raises:
            RetryableError: `error` itself, when there have been enough tries.
        """
        self._failures += 1
        if self._failures >= self._policy.max_attempts:
            raise error
        asked_sec = error.retry_after_sec if isinstance(error, SourceThrottledError) else None
        policy = self._policy
        await asyncio.sleep(
            pause_sec(self._failures, policy.backoff_base_sec, policy.backoff_max_sec, asked_sec)
        )


class FailureTimeBudget:
    """The time that failing tries of one source may cost in all, whichever requests they were.

    A server that brings a little with every try would otherwise hold a job for days. What
    arrives earns time at the policy's rate floor, so that a long file on a bad line is read.
    """

    def __init__(self, policy: SourcePolicy, shown: str) -> None:
        self._policy = policy
        self._shown = shown
        self._left_sec = policy.max_lost_sec

    def earn(self, num_bytes: int) -> None:
        """Count bytes that arrived."""
        self._left_sec += num_bytes / self._policy.min_bytes_per_sec

    def spend(self, lost_sec: float, error: RetryableError) -> None:
        """Count a try that failed, with the pause after it.

        Raises:
            SourceUnreliableError: the time is used up; its cause is the last failure.
        """
        self._left_sec -= lost_sec
        if self._left_sec < 0:
            raise SourceUnreliableError(
                f"{self._shown} fails so often that reading it would take too long; "
                "try again later, or from a copy on a better line"
            ) from error


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds that a Retry-After header asks for (a number or an HTTP date).

    Args:
        value: the header.
        now: what time it is for the server; None takes our own clock.
    """
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    when = parse_date(value)
    if when is None:
        return None
    return max(0.0, (when - (now or datetime.now(UTC))).total_seconds())


def parse_date(value: str | None) -> datetime | None:
    """Return the time that an HTTP date names, or None where it names none."""
    try:
        when = parsedate_to_datetime(value or "")
    except (ValueError, OverflowError):
        return None
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)
