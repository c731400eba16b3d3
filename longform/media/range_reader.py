"""The protocol of everything that bytes are read from."""

from collections.abc import Awaitable, Callable
from typing import Protocol

Read = Callable[[int, int], Awaitable[bytes]]  # the bytes `[start, end)` of a file


class RangeReader(Protocol):
    """Random access to the bytes of one pinned source. Reads may run concurrently."""

    async def read(self, start: int, end: int) -> bytes:
        """Return exactly the bytes `[start, end)`, which lie inside the source.

        Raises:
            RetryableError: the bytes cannot be had just now, after all retries.
            SourceError: they never will: changed, gone, refused.
        """
        ...

    async def close(self) -> None:
        """Give back connections and files; reads that still run may fail."""
        ...
