"""The files of a bulk run on one cluster, each a task of its own: one that fails stops no other.

A file first waits for a place at its host, where the operator has made a limit, then for a slot.
Files that wait for the same host stand in a queue of their own; those of other hosts pass them by.
"""

import asyncio
import heapq
import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass, field, replace

from prefect.client.orchestration import get_client
from prefect.concurrency.asyncio import concurrency

from flows.dispatch import reason
from flows.recording import Transcribed, gaps, missing, transcribe_recording
from flows.run_cluster import RunCluster
from flows.run_lifecycle import RunContext, end
from infra.chunk_events import recording_run_id
from longform.errors import (
    EngineUnavailableError,
    EnvironmentFaultError,
    IncompleteTranscriptError,
    LongformError,
    OutputError,
    WeightsError,
)
from longform.media.sources import signed_urls
from longform.media.spool import open_scratch
from longform.net.policy import shown_name
from longform.reprocess.batch_report import FAILURES, Cost, FileRecord, Outcome
from longform.reprocess.previous_results import FailureNote, now_utc
from longform.reprocess.replace import keeps_old
from longform.reprocess.selection import Chosen, planned
from longform.transcript.output import Status
from tasks.stages import leave_failure, replace_transcript

# Files that are open at a time: one is transcribed, one ends, two are opened and cut meanwhile.
FEWEST = 4
MOST = 64

HOST_LIMIT = "longform-host-"  # and the host or the bucket: a global concurrency limit of Prefect
PAGE = 200  # limits in one answer of the server, which gives no more

# What is wrong with the machine, the cluster or the disk is wrong for every file that follows.
STOPPING = (EnvironmentFaultError, OutputError, WeightsError)

_OUTCOMES: dict[Status, Outcome] = {
    "complete": "transcribed",
    "complete_with_damage": "damaged",
}


class FileSlots:
    """Slots for open files: a given number, or one for each slot of the cluster once that is open.

    A short file is opened, joined and written for longer than its one chunk is transcribed. With
    fewer files open than the cluster has slots, a list of short files would leave slots without
    work. A slot that becomes free goes to the file that waits with the lowest number.
    """

    def __init__(self, given: int | None, cluster: RunCluster) -> None:
        self._is_given = given is not None
        self._cluster = cluster
        self._total = self._num_free = given or FEWEST
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []  # a heap

    async def take(self, number: int) -> None:
        """Take a slot for the file of this number; waits for one."""
        if self._num_free > 0:
            self._num_free -= 1
            return
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (number, told))
        try:
            await told
        except asyncio.CancelledError:
            if not told.cancelled():  # the slot came together with the cancellation
                self.give()
            raise

    def give(self, count: int = 1) -> None:
        """Give slots back."""
        self._num_free += count
        while self._num_free > 0 and self._waiting:
            _, told = heapq.heappop(self._waiting)
            if not told.done():
                told.set_result(None)
                self._num_free -= 1

    async def grow(self) -> None:
        """Wait for the cluster, then fit its slots; returns at once where the number is given."""
        if self._is_given:
            return
        await self._cluster.opened()
        more = max(FEWEST, min(MOST, self._cluster.window.slots)) - self._total
        self._total += more
        self.give(more)


class HostLimits:
    """At most so many files at a time from one host, over all runs, where there is such a limit."""

    def __init__(self, hosts: Collection[str]) -> None:
        self._hosts = frozenset(hosts)
        self._queues: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @classmethod
    async def read(cls) -> "HostLimits":
        """Return the limits that the operator has made; a host without one costs no call later."""
        names: list[str] = []
        async with get_client() as api:
            while page := await api.read_global_concurrency_limits(PAGE, offset=len(names)):
                names += (limit.name for limit in page)
        return cls([name.removeprefix(HOST_LIMIT) for name in names if name.startswith(HOST_LIMIT)])

    def __call__(self, host: str | None) -> AbstractAsyncContextManager[None]:
        """Hold a place at a host; waits for one. None, and a host without a limit, take none."""
        if host not in self._hosts:
            return nullcontext()
        # A lease that could not be renewed is no reason to throw work away.
        return concurrency(f"{HOST_LIMIT}{host}", raise_on_lease_renewal_failure=False)

    def queue(self, host: str | None) -> AbstractAsyncContextManager[None]:
        """Be the first of those that wait for a host: no other asks for a place meanwhile."""
        return self._queues[host] if host is not None and host in self._hosts else nullcontext()


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """What is wanted of every file."""

    formats: tuple[str, ...]
    with_changes: bool
    use_cache: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """The files of a bulk run; `records` grows as they end."""

    context: RunContext
    host_limit: HostLimits
    options: BatchOptions
    records: list[FileRecord] = field(default_factory=list)

    async def run(
        self, chosen: Sequence[Chosen], files_in_flight: int | None
    ) -> LongformError | None:
        """Transcribe files, opened in order; `records` has what became of each.

        Args:
            chosen: the files.
            files_in_flight: how many are open at a time; None: as the cluster has slots.

        Returns:
            What is wrong for all files and ended the run; files in flight were then given up.
        """
        self.context.progress.expect_parts(len(chosen))
        self.context.progress.stage("transcribing")
        slots = FileSlots(files_in_flight, self.context.cluster)
        growing = asyncio.create_task(slots.grow())
        files = [asyncio.create_task(self._file(each, slots)) for each in chosen]
        try:
            await asyncio.gather(*files)
        except STOPPING as error:
            return error
        finally:
            await end([*files, growing])
        return None

    async def _file(self, chosen: Chosen, slots: FileSlots) -> None:
        """Transcribe a file, and record what became of it.

        Raises:
            LongformError: the error is not this file's alone.
        """
        try:
            record = await self._in_its_turn(chosen, slots)
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise  # the run ends
            lost = EngineUnavailableError("its work on the cluster was cancelled; try it again")
            record = await self._failed(chosen, lost)
        except Exception as error:  # noqa: BLE001  (whatever it is, it stops no other file)
            record = await self._failed(chosen, error)
        self.records.append(record)
        self.context.progress.part_ended(chosen.number, has_failed=record.outcome in FAILURES)

    async def _in_its_turn(self, chosen: Chosen, slots: FileSlots) -> FileRecord:
        """Transcribe a file once it has a place at its host, and a slot.

        The place is held from the first look at the file until its last chunk is done: workers
        read parts of it all that time. The slot is held until its transcript is written.
        """
        place = await self._admitted(chosen, slots)
        started_sec = time.monotonic()
        try:
            async with place:
                done = await self._transcribed(chosen)
            record = await self._written(chosen, done)
        finally:
            slots.give()
        return record.model_copy(update={"processing_sec": time.monotonic() - started_sec})

    async def _admitted(self, chosen: Chosen, slots: FileSlots) -> AsyncExitStack:
        """Wait for a place and a slot; return what gives the place back.

        The next file of the host asks for a place only when this one has a slot as well, so that
        at most one file holds a place while it waits.
        """
        host = chosen.entry.host
        async with AsyncExitStack() as place, self.host_limit.queue(host):
            await place.enter_async_context(self.host_limit(host))
            await slots.take(chosen.number)
            return place.pop_all()

    async def _transcribed(self, chosen: Chosen) -> Transcribed:
        number, media_url = chosen.number, chosen.entry.media_url
        async with open_scratch(self.context.settings) as scratch:
            return await transcribe_recording(
                # Everything that is stored on the way holds the sealed form.
                signed_urls.seal(media_url),
                chosen.params,
                replace(
                    self.context,
                    run_id=recording_run_id(self.context.run_id, number),
                    scratch=scratch,
                    progress=self.context.progress.part(number, shown_name(media_url)),
                ),
                use_cache=self.options.use_cache,
                with_page="html" in self.options.formats,
                engine=chosen.engine,
            )

    async def _written(self, chosen: Chosen, done: Transcribed) -> FileRecord:
        record = planned(chosen).model_copy(update=_news(chosen, done))
        if keeps_old(done.output, chosen.path):
            why = f"the old transcript was kept, since the new one has gaps: {gaps(done.outcomes)}"
            await self._note(chosen, why, IncompleteTranscriptError.__name__)
            return record.model_copy(update={"outcome": "incomplete", "reason": why})
        output, change = await replace_transcript(
            done.output,
            self.options.formats,
            chosen.path,
            with_page=self.options.with_changes,
        )
        return record.model_copy(update={"files": output.files, "change": change})

    async def _failed(self, chosen: Chosen, error: Exception) -> FileRecord:
        """Return the record of a file that has ended in an error, and leave a note of it.

        Raises:
            LongformError: the error is not this file's alone.
        """
        if isinstance(error, STOPPING):
            raise error
        self.context.cluster.require_alive()
        await self._note(chosen, reason(error), type(error).__name__)
        return planned(chosen).model_copy(
            update={
                "outcome": "failed",
                "reason": reason(error),
                "error": type(error).__name__,
            }
        )

    async def _note(self, chosen: Chosen, why: str, error: str) -> None:
        old = chosen.path.transcript
        note = FailureNote(
            source=chosen.entry.shown,
            reason=why,
            error=error,
            failed_at=now_utc(),
            run_url=self.context.progress.run_url,
            transcript=old.digest if old else None,
        )
        await leave_failure(chosen.path, note)


def _news(chosen: Chosen, done: Transcribed) -> dict[str, object]:
    """Return what is new in the record of a file that has a transcript."""
    status, outcomes = done.output.status, done.outcomes
    cost = Cost(
        audio_sec=done.output.input_duration_sec,
        gpu_sec=outcomes.engine_sec,
        num_chunks=len(outcomes.results) + len(outcomes.failures),
        num_cached_chunks=outcomes.num_cached,
    )
    if status != "incomplete":
        return {"outcome": _OUTCOMES[status], "cost": cost}
    news = {"outcome": "transcribed", "cost": cost, "reason": missing(outcomes)}
    if chosen.params.on_chunk_failure == "partial":
        return news
    return news | {"outcome": "incomplete", "error": IncompleteTranscriptError.__name__}
