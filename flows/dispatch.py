"""Sends macro chunks to the cluster, a window at a time, and collects what becomes of them."""

import asyncio
from types import TracebackType
from typing import Self

from distributed import KilledWorker

from flows.attempts import ChunkAttempts
from flows.cluster import RunCluster
from flows.progress import ChannelProgress
from flows.termination import end
from longform.chunking.macro import Split
from longform.errors import ClusterLostError, LongformError, OutputError
from longform.macro_chunk import discard_audio
from longform.macro_job import MacroChunkJob
from longform.media.work_store import WorkRun
from longform.settings import Settings
from longform.transcript.chunk_store import ChunkStore
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
