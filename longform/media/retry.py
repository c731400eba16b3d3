"""How long to wait before a request is tried again: exponential backoff with full jitter."""

import asyncio
import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from longform.errors import RetryableError, SourceThrottledError
from longform.media.policy import SourcePolicy


class Patience:
    """Counts the tries of one request that brought nothing, and waits between them."""

    def __init__(self, policy: SourcePolicy) -> None:
        self._policy = policy
        self._failures = 0

    def renew(self) -> None:
        """Start counting again: the last try brought something new."""
        self._failures = 0

    async def wait(self, error: RetryableError) -> None:
        """Wait before the next try, or give up.

        Raises:
            RetryableError: `error` itself, when there have been enough tries.
        """
        self._failures += 1
        if self._failures >= self._policy.max_attempts:
            raise error
        await asyncio.sleep(self._pause_sec(error))

    def _pause_sec(self, error: RetryableError) -> float:
        longest = min(
            self._policy.backoff_max_sec, self._policy.backoff_base_sec * 2**self._failures
        )
        pause = random.uniform(longest / 2, longest)
        asked = error.retry_after_sec if isinstance(error, SourceThrottledError) else None
        return min(self._policy.backoff_max_sec, max(pause, asked or 0.0))


def parse_retry_after(value: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for (a number or an HTTP date)."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())
