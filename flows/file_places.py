"""How many files of a bulk run are open at a time."""

import asyncio
from typing import Self

from flows.cluster import RunCluster

# One is transcribed, one ends, and two are opened and cut meanwhile.
FEWEST = 4
MOST = 64


class FilePlaces:
    """Places for files: a given number, or one for each slot of the cluster once that is open.

    A short file is opened, joined and written for longer than its one chunk is transcribed. With
    fewer places than slots, a list of short files would leave slots without work.
    """

    def __init__(self, given: int | None, cluster: RunCluster) -> None:
        self._is_given = given is not None
        self._cluster = cluster
        self.total = given or FEWEST
        self._free = asyncio.Semaphore(self.total)

    async def __aenter__(self) -> Self:
        await self._free.acquire()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._free.release()

    async def grow(self) -> None:
        """Wait for the cluster, then fit its slots; returns at once where the number is given."""
        if self._is_given:
            return
        await self._cluster.opened()
        more = max(FEWEST, min(MOST, self._cluster.window.slots)) - self.total
        self.total += more
        for _ in range(more):
            self._free.release()
