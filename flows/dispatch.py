"""Sends macro chunks to the cluster, a window at a time, and collects what becomes of them."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from distributed import KilledWorker
from prefect.futures import PrefectFuture

from flows.api_outage import is_outage, wait_for_api
from flows.macro_chunk import chunk_as_subflow, chunk_as_task
from flows.orphaned_runs import close_task_run
from flows.progress import ChannelProgress
from flows.run_cluster import RunCluster
from flows.run_lifecycle import end
from infra.cluster import GPU
from longform.chunking.macro import Split
from longform.errors import ClusterLostError, LongformError, OutputError
from longform.media.spool import WorkRun
from longform.pipeline.chunk_cache import ChunkStore
from longform.pipeline.chunk_claims import ChunkClaims
from longform.pipeline.chunk_job import ChunkHeld, MacroChunkJob
from longform.pipeline.transcribe_chunk import discard_audio, quarantined
from longform.settings import Settings
from longform.transcript.join import FailedSpan
from longform.transcript.segment import ChunkResult

# What befalls one chunk in this way befalls all: a store that is full, a cluster that is gone.
FATAL = (ClusterLostError, OutputError)


class ChunkDispatcher:
    """One channel's macro chunks. When its context is left, every chunk is in one of the lists."""

    def __init__(
        self,
        cluster: RunCluster,
        store: ChunkStore,
        spool: WorkRun,
        progress: ChannelProgress,
        settings: Settings,
        order: int = 0,
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._spool = spool
        self._progress = progress
        self._attempts = ChunkAttempts(cluster, store, settings, order)
        self._order = order
        self._execution = ""
        self._tasks: list[asyncio.Task[None]] = []
        self.results: list[ChunkResult] = []
        self.failures: list[FailedSpan] = []
        self.errors: list[BaseException] = []
        self.num_cached = 0
        self.cached_keys: set[str] = set()
        self.splits: list[Split] = []
        self.engine_sec = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                await asyncio.gather(*self._tasks)
                self._tasks = []
        finally:
            if self._tasks:
                await self._give_up()

    async def _give_up(self) -> None:
        """End what is on its way, here and on the workers."""
        await end(self._tasks)
        await asyncio.shield(self._cluster.stop(self._execution))

    def note_split(self, split: Split | None) -> None:
        """Keep how the boundary at the end of a chunk was decided; None: the recording's end."""
        if split is not None:
            self.splits.append(split)

    async def take_cached(self, result: ChunkResult) -> None:
        """Count a chunk whose result an earlier run has left."""
        self.num_cached += 1
        self.cached_keys.add(result.key)
        self.results.append(result)
        self._progress.chunk_done(result, cached=True)

    async def submit(self, job: MacroChunkJob) -> None:
        """Send a chunk to the cluster; returns once there is room for the next.

        Raises:
            ClusterLostError, OutputError: what no other chunk would be spared.
        """
        self._execution = job.execution
        await self._cluster.load_engine(job.engine)
        window = self._cluster.window
        window.enter()
        task = asyncio.create_task(self._run(job))
        task.add_done_callback(lambda _: window.leave())
        self._tasks = [task, *self._unfinished()]
        await window.room(self._order)

    def _unfinished(self) -> list[asyncio.Task[None]]:
        for task in self._tasks:
            if task.done():
                task.result()  # it failed in a way that no other chunk would be spared
        return [task for task in self._tasks if not task.done()]

    async def _run(self, job: MacroChunkJob) -> None:
        ended = await self._attempts.outcome(job)
        await discard_audio(job, self._spool)
        if isinstance(ended, ChunkResult):
            # Workers on other hosts may keep their results where this process cannot see them.
            await asyncio.to_thread(self._store.put_missing, ended)
            self.results.append(ended)
            self.engine_sec += ended.stats.engine_sec
            self._progress.chunk_done(ended, cached=False)
            return
        if isinstance(ended, FATAL):
            raise ended
        self.errors.append(ended)
        self.failures.append(FailedSpan(job.index, job.span, reason(ended)))
        self._progress.chunk_failed(job.index, job.span.num_samples)


def reason(error: BaseException) -> str:
    """Return why a chunk failed, in one line for people."""
    if isinstance(error, LongformError):
        return str(error)
    if isinstance(error, KilledWorker):
        return "the worker process died on every attempt"
    return f"{type(error).__name__}: {error}"


# One macro chunk on the cluster, as often as it takes: through deaths, outages and other runs.


# Dask gives up a chunk after 4 deaths of workers that had it, waiting or running: a neighbour
# may have killed them. A chunk that is to blame is quarantined before its own fourth.
MAX_GIVEN_UP = 3


class ChunkAttempts:
    """Sends macro chunks to the cluster until each has an outcome of its own."""

    def __init__(
        self, cluster: RunCluster, store: ChunkStore, settings: Settings, order: int
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._settings = settings
        self._order = order

    async def outcome(self, job: MacroChunkJob) -> ChunkResult | BaseException:
        """Return the result of a chunk, or why there is none.

        While another run computes it, it takes no place on the cluster.
        """
        claims = ChunkClaims(job.chunk_store_url)
        if not job.use_cache:
            await asyncio.to_thread(claims.forgive, job.key)
        given_up = 0
        while True:
            waited = await claims.wait_until_free(job.key, job.execution)
            if waited and job.use_cache:
                result = await asyncio.to_thread(self._store.get, job.key)
                if result is not None:
                    await asyncio.to_thread(claims.forgive, job.key)
                    return result
            deaths = await asyncio.to_thread(claims.settle, job.key, job.execution)
            if deaths.is_quarantined:
                return quarantined(deaths)
            ended = await self._attempt(job)
            if isinstance(ended, KilledWorker):
                given_up += 1
                if given_up > MAX_GIVEN_UP:
                    return cast(BaseException, ended)
            elif isinstance(ended, ChunkResult) or (
                not isinstance(ended, ChunkHeld) and not (is_outage(ended) and await wait_for_api())
            ):
                return ended

    async def _attempt(self, job: MacroChunkJob) -> ChunkResult | ChunkHeld | BaseException:
        sender = await self._cluster.sender()
        future = sender.send(
            chunk_as_subflow if self._settings.subflows else chunk_as_task,
            {"job": job, "address": job.address},
            resources={GPU: 1 / self._settings.slots_per_worker},
            priority=-self._order,
        )
        try:
            return await outcome(future)
        except asyncio.CancelledError:
            dask_future: Future[Any] = future.wrapped_future
            dask_future.cancel()  # it may not have started yet
            await asyncio.shield(
                close_task_run(future.task_run_id, "the run has ended", cancelled=True)
            )
            raise


# Waiting for tasks on the cluster, without holding a thread for each.


T = TypeVar("T")


async def outcome(future: PrefectFuture[Coroutine[Any, Any, T]]) -> "T | BaseException":
    """Return what a task on the Dask cluster returned or raised."""
    # Typed for a coroutine, because the task function is one; what comes back is its value.
    untyped: Any = future
    dask_future = untyped.wrapped_future
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not ended.done():
            ended.set_result(None)

    dask_future.add_done_callback(lambda _: loop.call_soon_threadsafe(wake))
    await ended
    try:
        ended_with: T | BaseException = await asyncio.to_thread(
            untyped.result, raise_on_failure=False
        )
    except KilledWorker as error:
        await close_task_run(future.task_run_id, "the worker process died on every attempt")
        return cast(BaseException, error)
    except CancelledError:  # nobody but us cancels futures, and then nobody waits for them
        await close_task_run(future.task_run_id, "the Dask scheduler is gone")
        return ClusterLostError(
            "the Dask scheduler is gone: start it, then run again; finished chunks are kept"
        )
    return ended_with


async def result(future: PrefectFuture[Coroutine[Any, Any, T]]) -> T:
    """Return what a task on the Dask cluster returned; raise what it raised."""
    value = await outcome(future)
    if isinstance(value, BaseException):
        raise value
    return value
