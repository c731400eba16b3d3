"""Who works on which macro chunk: claims beside the chunk results, and the deaths of claimants.

A process claims a chunk before it computes it, renews the claim while it does, and gives it back.
So two runs of the same recording compute each chunk once. A claim whose process is gone, on the
machine where that can be seen, is void at once; elsewhere it is void when it has not changed for
`CLAIM_TTL_SEC` by the clock of whoever waits, so that no two clocks are compared.

A claim that a dead process of the same run has left counts as a death of its chunk. After
`MAX_DEATHS` the chunk is quarantined: it is not tried again before somebody asks for it.

A claim saves work and keeps nothing right: should two processes compute a chunk, both store the
same result. That can happen where a store has no exclusive put (`FsspecPlace.create`), and where
a machine sleeps for longer than the claim lasts.
"""

import asyncio
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import ValidationError

from longform.errors import LongformError
from longform.params import FrozenModel
from longform.process_identity import process_start, this_machine
from longform.storage.folder import OutputPlace, open_place
from longform.storage.records import RecordStore

logger = logging.getLogger(__name__)

CLAIM_TTL_SEC = 60.0  # seconds; what a dead claimant on another machine costs a waiter at most
RENEW_SEC = 15.0  # seconds: four renewals must fail or be late before the claim is void
POLL_SEC = 1.0  # seconds between two looks of a waiter
DEATHS = "deaths"  # folder of the chunk store
MAX_DEATHS = 3  # after the first a chunk runs alone in its process, so it is not a neighbour's

_held: set[str] = set()  # claims that this process holds


class Claim(FrozenModel):
    """One claim. `run` is one execution of a flow; `renewals` changes with every renewal."""

    token: str
    run: str
    machine: str  # host, boot and process namespace: where a pid means this process
    pid: int
    process_start: str
    worker: str
    renewals: int = 0

    @property
    def is_void(self) -> bool:
        """Whether its process is known to be gone; only on its own machine."""
        if self.machine != this_machine():
            return False
        if self.pid == os.getpid():
            return self.token not in _held
        return process_start(self.pid) != self.process_start


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
        taking = asyncio.ensure_future(asyncio.to_thread(self._take, key, run, worker))
        try:
            claim = await asyncio.shield(taking)
        except asyncio.CancelledError:
            if (claim := await taking) is not None:
                self._give_back(key, claim)
            raise
        if claim is None:
            yield False
            return
        renewing = asyncio.create_task(self._keep(key, claim, renew_sec))
        try:
            yield True
        finally:
            renewing.cancel()
            await asyncio.shield(asyncio.to_thread(self._give_back, key, claim))

    async def wait_until_free(self, key: str, run: str, poll_sec: float = POLL_SEC) -> bool:
        """Wait until nobody computes a chunk; return whether there was anything to wait for.

        A claim that is void is removed, and counted as a death where it is of this run.
        """
        seen: Claim | None = None
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

    def holder(self, key: str) -> Claim | None:
        """Return the claim on a chunk, void or not."""
        place, name = self._place(key)
        try:
            content = place.read(name)
            return None if content is None else Claim.model_validate_json(content)
        except ValidationError:
            return Claim(token="", run="", machine="", pid=0, process_start="", worker="unknown")

    def remove_void(self, key: str, claim: Claim, run: str) -> None:
        """Remove the claim of a process that is gone, unless it has been replaced meanwhile."""
        if self.holder(key) != claim:
            return
        place, name = self._place(key)
        place.remove(name)
        logger.warning("the worker %s left its chunk unfinished", claim.worker)
        if claim.run == run:
            before = self._deaths.get(key) or ChunkDeaths()
            self._deaths.put(key, ChunkDeaths(workers=(*before.workers, claim.worker)))

    def forgive(self, key: str) -> None:
        """Forget the deaths of a chunk: it succeeded, or somebody wants it tried again."""
        if self._deaths.get(key) is not None:
            self._deaths.remove(key)

    def _take(self, key: str, run: str, worker: str) -> Claim | None:
        claim = Claim(
            token=secrets.token_hex(8),
            run=run,
            machine=this_machine(),
            pid=os.getpid(),
            process_start=process_start(os.getpid()) or "",
            worker=worker,
        )
        place, name = self._place(key)
        _held.add(claim.token)
        if place.create(name, claim.model_dump_json().encode()):
            return claim
        _held.discard(claim.token)
        return None

    async def _keep(self, key: str, claim: Claim, renew_sec: float) -> None:
        place, name = self._place(key)
        while True:
            await asyncio.sleep(renew_sec)
            if not await asyncio.to_thread(self._is_ours, key, claim):
                return  # somebody thought that we were dead; the result will be the same
            claim = claim.model_copy(update={"renewals": claim.renewals + 1})
            try:
                await asyncio.to_thread(place.write, name, claim.model_dump_json().encode())
            except LongformError as error:
                logger.warning("a claim on a chunk could not be renewed: %s", error)

    def _give_back(self, key: str, claim: Claim) -> None:
        place, name = self._place(key)
        try:
            if self._is_ours(key, claim):
                place.remove(name)
        except LongformError as error:
            logger.warning("a claim on a chunk could not be given back: %s", error)
        _held.discard(claim.token)

    def _is_ours(self, key: str, claim: Claim) -> bool:
        found = self.holder(key)
        return found is not None and found.token == claim.token

    def _place(self, key: str) -> tuple[OutputPlace, str]:
        return open_place(f"{self._root}/{key[:2]}"), f"{key}.claim"
