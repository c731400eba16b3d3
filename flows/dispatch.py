"""Sends macro chunks to the cluster, a window at a time, and collects what becomes of them."""

import asyncio
from types import TracebackType
from typing import Self

from distributed import KilledWorker

from flows.attempts import ChunkAttempts
from flows.cluster import RunCluster
from flows.progress import ChannelProgress
from flows.termination import end
from longform.errors import ClusterLostError, LongformError, OutputError
from longform.macro_chunk import MacroChunkJob, discard_audio
from longform.media.work_store import WorkRun
from longform.settings import Settings
from longform.transcript.chunk_store import ChunkStore
from longform.transcript.join import FailedSpan
from longform.transcript.segment import ChunkResult

# Beyond the chunks that run, as many again wait at the cluster: enough that no slot idles,
# few enough that workers which join late still get some and that spooled audio stays small.
WINDOW_PER_SLOT = 2
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
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._spool = spool
        self._progress = progress
        self._attempts = ChunkAttempts(cluster, store, settings)
        self._tasks: list[asyncio.Task[None]] = []
        self.results: list[ChunkResult] = []
        self.failures: list[FailedSpan] = []
        self.errors: list[BaseException] = []
        self.num_cached = 0

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
        """Send a chunk to the cluster; returns once there is room for the next.

        Raises:
            ClusterLostError, OutputError: what no other chunk would be spared.
        """
        await self._cluster.load_engine()
        self._tasks.append(asyncio.create_task(self._run(job)))
        while len(running := self._running()) >= self._cluster.slots * WINDOW_PER_SLOT:
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)

    def _running(self) -> list[asyncio.Task[None]]:
        for task in self._tasks:
            if task.done():
                task.result()  # it failed in a way that no other chunk would be spared
        self._tasks = [task for task in self._tasks if not task.done()]
        return self._tasks

    async def _run(self, job: MacroChunkJob) -> None:
        ended = await self._attempts.outcome(job)
        await discard_audio(job, self._spool)
        if isinstance(ended, ChunkResult):
            # Workers on other hosts may keep their results where this process cannot see them.
            await asyncio.to_thread(self._store.put_missing, ended)
            self.results.append(ended)
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
