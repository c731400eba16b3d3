"""Sends macro chunks to the cluster, a window at a time, and collects what becomes of them."""

import asyncio
from types import TracebackType
from typing import Self

import dask
from distributed import KilledWorker

from flows.cluster import RunCluster
from flows.macro_chunk import run_macro_chunk
from flows.outcome import outcome
from flows.progress import ChannelProgress
from flows.termination import end
from infra.cluster import GPU
from longform.errors import LongformError
from longform.macro_chunk import MacroChunkJob, discard_audio
from longform.media.work_store import WorkRun
from longform.settings import Settings
from longform.transcript.chunk_store import ChunkStore
from longform.transcript.join import FailedSpan
from longform.transcript.segment import ChunkResult


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
        self._settings = settings
        self._order = order
        self._tasks: list[asyncio.Task[None]] = []
        self.results: list[ChunkResult] = []
        self.failures: list[FailedSpan] = []
        self.errors: list[BaseException] = []
        self.num_cached = 0
        self.engine_sec = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            await end(self._tasks)
        else:
            await asyncio.gather(*self._tasks)

    async def take_cached(self, result: ChunkResult) -> None:
        """Count a chunk whose result an earlier run has left."""
        self.num_cached += 1
        self.results.append(result)
        self._progress.chunk_done(result, cached=True)

    async def submit(self, job: MacroChunkJob) -> None:
        """Send a chunk to the cluster; returns once there is room for the next."""
        await self._cluster.load_engine(job.engine)
        window = self._cluster.window
        window.enter()
        task = asyncio.create_task(self._run(job))
        task.add_done_callback(lambda _: window.leave())
        self._tasks.append(task)
        await window.room(self._order)

    async def _run(self, job: MacroChunkJob) -> None:
        slot = {GPU: 1 / self._settings.slots_per_worker}
        with dask.annotate(resources=slot, priority=-self._order):
            future = run_macro_chunk.submit(job, job.address, as_subflow=self._settings.subflows)
        ended = await outcome(future)
        await discard_audio(job, self._spool)
        if isinstance(ended, ChunkResult):
            # Workers on other hosts may keep their results where this process cannot see them.
            await asyncio.to_thread(self._store.put_missing, ended)
            self.results.append(ended)
            self.engine_sec += ended.stats.engine_sec
            self._progress.chunk_done(ended, cached=False)
            return
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
