"""The files of a bulk run, a few at a time on one cluster: one that fails stops no other."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Self

from prefect.client.orchestration import get_client
from prefect.concurrency.asyncio import concurrency
from prefect.exceptions import ObjectNotFound

from flows.dispatch import reason
from flows.progress import BatchProgress
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
from longform.net.policy import SourcePolicy, shown_name
from longform.reprocess.batch_report import Cost, FileRecord, Outcome
from longform.reprocess.previous_results import FailureNote, now_utc
from longform.reprocess.replace import keeps_old
from longform.reprocess.selection import Chosen, planned
from longform.settings import Settings
from longform.transcript.output import Status
from tasks.stages import leave_failure, replace_transcript

# How many files of a bulk run are open at a time.


# One is transcribed, one ends, and two are opened and cut meanwhile.
FEWEST = 4
MOST = 64


class FileSlots:
    """OutputPaths for files: a given number, or one for each slot of the cluster once that is open.

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


# At most so many files at a time from one host, where the operator has made such a limit.
#
# A limit is a global concurrency limit of Prefect's, named `longform-host-` and the host (or the
# bucket). It is held from the first look at a file until its last chunk is done: workers read
# windows of it all that time. That is one lease per file, and no call at all for a host without.


PREFIX = "longform-host-"


class HostLimits:
    """The limits as they were when this run first met each host."""

    def __init__(self) -> None:
        self._known: dict[str, asyncio.Task[bool]] = {}
        self._queues: Counter[str] = Counter()
        self.grew = asyncio.Event()  # a file waits for its host; cleared by the one that looks

    @asynccontextmanager
    async def __call__(self, host: str | None) -> AsyncIterator[None]:
        """Hold a place at a host; waits for one. None, and a host without a limit, take none."""
        if host is None or not await self._is_limited(host):
            yield
            return
        async with AsyncExitStack() as held:
            with self._queued(host):
                # A lease that could not be renewed is no reason to throw work away.
                await held.enter_async_context(
                    concurrency(f"{PREFIX}{host}", raise_on_lease_renewal_failure=False)
                )
            yield

    @property
    def num_queued(self) -> int:
        """How many files wait for a place at their host."""
        return self._queues.total()

    def has_queue(self, host: str | None) -> bool:
        """Tell whether a file waits for a place at this host."""
        return host is not None and self._queues[host] > 0

    @contextmanager
    def _queued(self, host: str) -> Iterator[None]:
        self._queues[host] += 1
        self.grew.set()
        try:
            yield
        finally:
            self._queues[host] -= 1

    async def _is_limited(self, host: str) -> bool:
        if host not in self._known:
            self._known[host] = asyncio.create_task(_exists(f"{PREFIX}{host}"))
        return await asyncio.shield(self._known[host])


async def _exists(name: str) -> bool:
    async with get_client() as api:
        try:
            await api.read_global_concurrency_limit_by_name(name)
        except ObjectNotFound:
            return False
    return True


# What is wrong with the machine, the cluster or the disk is wrong for every file that follows.
STOPPING = (EnvironmentFaultError, OutputError, WeightsError)

_OUTCOMES: dict[Status, Outcome] = {
    "complete": "transcribed",
    "complete_with_damage": "damaged",
}


@dataclass(frozen=True, slots=True)
class BatchContext:
    """What the files of a bulk run are worked on with."""

    run_id: str
    settings: Settings
    policy: SourcePolicy
    cluster: RunCluster
    progress: BatchProgress
    host_limit: HostLimits


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """What is wanted of every file."""

    formats: tuple[str, ...]
    with_changes: bool
    use_cache: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """The files of a bulk run; `records` grows as they end."""

    context: BatchContext
    options: BatchOptions
    records: list[FileRecord]

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
        self.context.progress.expect(len(chosen))
        waiting, in_flight = [*chosen], dict[asyncio.Task[FileRecord], Chosen]()
        places = FileSlots(files_in_flight, self.context.cluster)
        growing = asyncio.create_task(places.grow())
        try:
            while waiting or in_flight:
                self._start(waiting, in_flight, places)
                done = await self._first_of(in_flight, growing)
                # What came through is recorded first: an error may be the end of the run.
                for task in sorted(done, key=_has_failed):
                    record = await self._record(task, in_flight.pop(task))
                    self.records.append(record)
                    self.context.progress.ended(record)
        except STOPPING as error:
            return error
        finally:
            await end([*in_flight, growing])
        return None

    def _start(
        self,
        waiting: list[Chosen],
        in_flight: "dict[asyncio.Task[FileRecord], Chosen]",
        places: FileSlots,
    ) -> None:
        """Start files in order; those behind another one that waits for its host are passed by."""
        limits = self.context.host_limit
        limits.grew.clear()
        while len(in_flight) - limits.num_queued < places.total:
            one = next((each for each in waiting if not limits.has_queue(each.entry.host)), None)
            if one is None:
                return
            waiting.remove(one)
            in_flight[asyncio.create_task(self._file(one, places))] = one

    async def _first_of(
        self, tasks: "Collection[asyncio.Task[FileRecord]]", growing: asyncio.Task[None]
    ) -> "set[asyncio.Task[FileRecord]]":
        """Return the tasks that have ended; none where there is room for other files."""
        grew = asyncio.create_task(self.context.host_limit.grew.wait())
        signals = {grew} if growing.done() else {grew, growing}
        try:
            await asyncio.wait({*tasks, *signals}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end([grew])
        return {task for task in tasks if task.done()}

    async def _file(self, chosen: Chosen, places: FileSlots) -> FileRecord:
        started_sec = time.monotonic()
        entry = chosen.entry
        progress = self.context.progress.recording(chosen.number, shown_name(entry.media_url))
        async with (
            self.context.host_limit(entry.host),
            places,
            open_scratch(self.context.settings) as scratch,
        ):
            done = await transcribe_recording(
                # Everything that is stored on the way holds the sealed form.
                signed_urls.seal(entry.media_url),
                chosen.params,
                RunContext(
                    run_id=recording_run_id(self.context.run_id, chosen.number),
                    settings=self.context.settings,
                    policy=self.context.policy,
                    cluster=self.context.cluster,
                    scratch=scratch,
                    progress=progress,
                ),
                use_cache=self.options.use_cache,
                with_page="html" in self.options.formats,
                engine=chosen.engine,
            )
        record = await self._written(chosen, done)
        return record.model_copy(update={"processing_sec": time.monotonic() - started_sec})

    async def _written(self, chosen: Chosen, done: Transcribed) -> FileRecord:
        record = planned(chosen).model_copy(update=_news(chosen, done))
        if keeps_old(done.output, chosen.place):
            why = f"the old transcript was kept, since the new one has gaps: {gaps(done.outcomes)}"
            await self._note(chosen, why, IncompleteTranscriptError.__name__)
            return record.model_copy(update={"outcome": "incomplete", "reason": why})
        output, change = await replace_transcript(
            done.output,
            self.options.formats,
            chosen.place,
            with_page=self.options.with_changes,
        )
        return record.model_copy(update={"files": output.files, "change": change})

    async def _record(self, task: "asyncio.Task[FileRecord]", chosen: Chosen) -> FileRecord:
        """Return the record of a file that has ended, also where it ended in an error.

        Raises:
            LongformError: the error is not this file's alone.
        """
        lost = EngineUnavailableError("its work on the cluster was cancelled; try it again")
        error = lost if task.cancelled() else task.exception()
        if error is None:
            return task.result()
        if isinstance(error, STOPPING) or not isinstance(error, Exception):
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
        old = chosen.place.transcript
        note = FailureNote(
            source=chosen.entry.shown,
            reason=why,
            error=error,
            failed_at=now_utc(),
            run_url=self.context.progress.run_url,
            transcript=old.digest if old else None,
        )
        await leave_failure(chosen.place, note)


def _has_failed(task: "asyncio.Task[FileRecord]") -> bool:
    return task.cancelled() or task.exception() is not None


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
