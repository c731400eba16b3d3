"""Who works on which macro chunk: claims beside the chunk results, and the deaths of claimants.

A process claims a chunk before it computes it, renews the claim while it does, and gives it back.
So two runs of the same recording compute each chunk once. A claim whose process is gone, on the
machine where that can be seen, is void at once; elsewhere it is void when it has not changed for
`CLAIM_TTL_SEC` by the clock of the process that waits, so that no two clocks are compared.

A claim that a dead process of the same run has left counts as a death of its chunk. After
`MAX_DEATHS` the chunk is quarantined: it is tried again only when the user asks for it.

A claim saves work and keeps nothing right: should two processes compute a chunk, both store the
same result. That can happen where a store has no exclusive put (`RemoteFolder.create`), and where
a machine sleeps for longer than the claim lasts.
"""

import asyncio
import functools
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from longform.params import FrozenModel
from longform.storage.folder import Folder, open_folder
from longform.storage.lease import HeldLease, Lease, read_lease
from longform.storage.records import RecordStore

logger = logging.getLogger(__name__)

CLAIM_TTL_SEC = 60.0  # seconds; what a dead claimant on another machine costs a waiter at most
RENEW_SEC = 15.0  # seconds: four renewals must fail or be late before the claim is void
POLL_SEC = 1.0  # seconds between two looks of a waiter
DEATHS = "deaths"  # folder of the chunk store
MAX_DEATHS = 3  # after the first a chunk runs alone in its process, so it is not a neighbour's


class ChunkDeaths(FrozenModel):
    """The worker processes that died while they computed a chunk, by name."""

    workers: tuple[str, ...] = ()

    @property
    def is_quarantined(self) -> bool:
        """Whether the chunk is not to be tried again."""
        return len(self.workers) >= MAX_DEATHS


class ChunkClaims:
    """The claims and deaths of a chunk store; the root is a folder or an fsspec URL."""

    def __init__(self, root: str, ttl_sec: float = CLAIM_TTL_SEC) -> None:
        self._root = root.rstrip("/")
        self._ttl_sec = ttl_sec
        self._deaths = RecordStore(f"{self._root}/{DEATHS}", ChunkDeaths, "ChunkDeaths")

    @asynccontextmanager
    async def hold(
        self, key: str, run: str, worker: str, renew_sec: float = RENEW_SEC
    ) -> AsyncIterator[bool]:
        """Claim a chunk for the length of the context; gives False where another one has it.

        Raises:
            OutputError: the store cannot be written.
        """
        folder, name = self._place(key)
        take = functools.partial(
            HeldLease.take, folder, name, renew_sec=renew_sec, run=run, worker=worker
        )
        taking = asyncio.ensure_future(asyncio.to_thread(take, exclusive=True))
        try:
            claim = await asyncio.shield(taking)
        except asyncio.CancelledError:
            # Shielded: after a second cancellation its thread would renew the claim for ever.
            await asyncio.shield(_give_back(taking))
            raise
        try:
            yield claim is not None
        finally:
            if claim is not None:
                await asyncio.shield(asyncio.to_thread(claim.release, remove=True))

    async def wait_until_free(self, key: str, run: str, poll_sec: float = POLL_SEC) -> bool:
        """Wait until no other process computes a chunk; return whether one did.

        A claim that is void is removed, and counted as a death where it is of this run.
        """
        seen: Lease | None = None
        seen_sec = time.monotonic()
        while (claim := await asyncio.to_thread(self.holder, key)) is not None:
            if claim != seen:
                seen, seen_sec = claim, time.monotonic()
            if claim.is_void or time.monotonic() - seen_sec > self._ttl_sec:
                await asyncio.to_thread(self.remove_void, key, claim, run)
                return True
            await asyncio.sleep(poll_sec)
        return seen is not None

    def settle(self, key: str, run: str) -> ChunkDeaths:
        """Remove a void claim; return the deaths of the chunk, with that one if it is of `run`."""
        claim = self.holder(key)
        if claim is not None and claim.is_void:
            self.remove_void(key, claim, run)
        return self._deaths.get(key) or ChunkDeaths()

    def holder(self, key: str) -> Lease | None:
        """Return the claim on a chunk, void or not."""
        return read_lease(*self._place(key))

    def remove_void(self, key: str, claim: Lease, run: str) -> None:
        """Remove the claim of a process that is gone, unless it has been replaced meanwhile."""
        if self.holder(key) != claim:
            return
        folder, name = self._place(key)
        folder.remove(name)
        logger.warning("the worker %s left its chunk unfinished", claim.worker)
        if claim.run == run:
            before = self._deaths.get(key) or ChunkDeaths()
            self._deaths.put(key, ChunkDeaths(workers=(*before.workers, claim.worker)))

    def forgive(self, key: str) -> None:
        """Forget the deaths of a chunk: it succeeded, or the user wants it tried again."""
        if self._deaths.get(key) is not None:
            self._deaths.remove(key)

    def _place(self, key: str) -> tuple[Folder, str]:
        return open_folder(f"{self._root}/{key[:2]}"), f"{key}.claim"


async def _give_back(taking: asyncio.Future[HeldLease | None]) -> None:
    """Give back a claim that is still being written, once it is."""
    if (claim := await taking) is not None:
        await asyncio.to_thread(claim.release, remove=True)
