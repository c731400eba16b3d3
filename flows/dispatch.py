"""Sends macro chunks to the cluster, a window at a time, and collects what becomes of them.

`ENDINGS` is the table of what can become of a chunk on the cluster and what each leads to.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from enum import Enum, auto
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import dask
from distributed import KilledWorker
from prefect.futures import PrefectFuture

from flows.api_outage import is_outage, wait_for_api
from flows.macro_chunk import run_macro_chunk, run_without_subflow
from flows.orphaned_runs import close_task_run
from flows.run_lifecycle import RunContext, end
from infra.clusters.workers import GPU, WHOLE_WORKER
from infra.prefect_internals import dask_future, wait_until_done
from longform.chunking.macro import Split
from longform.errors import ClusterLostError, EnvironmentFaultError, LongformError, OutputError
from longform.pipeline.chunk_claims import ChunkClaims
from longform.pipeline.chunk_job import (
    ChunkClaimedElsewhere,
    ChunkEnding,
    ChunkReference,
    MacroChunkJob,
    MustRunAlone,
)
from longform.pipeline.transcribe_chunk import discard_audio, quarantined
from longform.transcript.join import FailedSpan
from longform.transcript.segment import ChunkResult

T = TypeVar("T")

# Dask gives up a chunk after 4 deaths of workers that had it, waiting or running: a neighbour
# may have killed them. A chunk that is to blame is quarantined before its own fourth.
MAX_GIVEN_UP = 3

ALONE_PRIORITY = 1  # before every other chunk: a worker with one that waits for it idles least

# Seconds; a file share may show a new file as late as that: NFS keeps a folder for up to 60 s.
STORE_LAG_SEC = 75.0
STORE_POLL_SEC = 1.0


class Next(Enum):
    """What an ending leads to."""

    DONE = auto()  # the result is in the chunk store
    AGAIN = auto()  # at once; while another run has the chunk, that is waited for
    ALONE = auto()  # again, with a worker process for itself
    AFTER_DEATHS = auto()  # again, unless Dask has given it up too often: then it has failed
    AFTER_OUTAGE = auto()  # again, once the Prefect API answers; where it does not, it has failed
    FAILED = auto()  # for good: the transcript has a gap there
    END_RUN = auto()  # no other chunk would be spared


def _is(*kinds: type) -> Callable[[object], bool]:
    return lambda ending: isinstance(ending, kinds)


# The first line that fits an ending says what comes next.
ENDINGS: tuple[tuple[Callable[[Any], bool], Next], ...] = (
    (_is(ChunkReference), Next.DONE),
    (_is(ChunkClaimedElsewhere), Next.AGAIN),
    (_is(MustRunAlone), Next.ALONE),
    (_is(KilledWorker), Next.AFTER_DEATHS),
    (_is(ClusterLostError, OutputError), Next.END_RUN),
    (is_outage, Next.AFTER_OUTAGE),
    (_is(BaseException), Next.FAILED),
)


def what_next(ending: object) -> Next:
    """Return what an ending of a chunk on the cluster leads to."""
    return next(step for fits, step in ENDINGS if fits(ending))


class ChunkDispatcher:
    """One channel's macro chunks. When its context is left, every chunk is in one of the lists."""

    def __init__(self, run: RunContext, channel: int | None = None, order: int = 0) -> None:
        self._run = run
        self._store = run.store
        self._claims = ChunkClaims(run.settings.chunk_store_url)
        self._channel = channel
        self._order = order
        self._execution = ""
        self._tasks: list[asyncio.Task[None]] = []
        self.results: list[ChunkResult] = []
        self.failures: list[FailedSpan] = []
        self.errors: list[BaseException] = []
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
        await asyncio.shield(self._run.cluster.stop(self._execution))

    def note_split(self, split: Split | None) -> None:
        """Keep how the boundary at the end of a chunk was decided; None: the recording's end."""
        if split is not None:
            self.splits.append(split)

    def take_cached(self, result: ChunkResult) -> None:
        """Count a chunk whose result an earlier run has left."""
        self.cached_keys.add(result.key)
        self.results.append(result)
        self._run.progress.chunk_done(result, cached=True, channel=self._channel)

    async def submit(self, job: MacroChunkJob) -> None:
        """Send a chunk to the cluster; returns once there is room for the next.

        Raises:
            LongformError: what no other chunk would be spared.
        """
        self._execution = job.execution
        await self._run.cluster.load_engine(job.engine)
        window = self._run.cluster.window
        window.enter()
        task = asyncio.create_task(self._transcribe(job))
        task.add_done_callback(lambda _: window.leave())
        self._tasks.append(task)  # first, so that it is ended too where another has failed
        self._tasks = self._unfinished()
        await window.room(self._order)

    def _unfinished(self) -> list[asyncio.Task[None]]:
        for task in self._tasks:
            if task.done():
                task.result()  # it failed in a way that no other chunk would be spared
        return [task for task in self._tasks if not task.done()]

    async def _transcribe(self, job: MacroChunkJob) -> None:
        if not job.use_cache:
            for key in {job.key, *job.key_by_compute_type.values()}:
                await asyncio.to_thread(self._claims.forgive, key)
        outcome = await self._outcome(job)
        await discard_audio(job, self._run.scratch.spool)
        if isinstance(outcome, ChunkResult):
            self.results.append(outcome)
            self.engine_sec += outcome.stats.engine_sec
            self._run.progress.chunk_done(outcome, cached=False, channel=self._channel)
            return
        self.errors.append(outcome)
        self.failures.append(FailedSpan(job.index, job.span, reason(outcome)))
        self._run.progress.chunk_failed(job.index, job.span.num_samples, self._channel)

    async def _outcome(self, job: MacroChunkJob) -> ChunkResult | BaseException:
        """Send a chunk as often as it takes; return its result, or why there is none.

        While another run computes it, it takes no place on the cluster.
        """
        key = job.key  # until a worker knows better: it may depend on what it computes in
        times_given_up, must_be_alone = 0, False
        while True:
            if (result := await self._of_another_run(job, key)) is not None:
                return result
            deaths = await asyncio.to_thread(self._claims.settle, key, job.execution)
            if deaths.is_quarantined:
                return quarantined(deaths)
            # Which of its types it is, the table tells.
            ending: Any = await self._attempt(job, alone=must_be_alone or bool(deaths.workers))
            match what_next(ending):
                case Next.DONE:
                    return await self._stored(ending.key)
                case Next.AGAIN:
                    key = ending.key
                case Next.ALONE:
                    key, must_be_alone = ending.key, True
                case Next.AFTER_DEATHS if times_given_up < MAX_GIVEN_UP:
                    times_given_up += 1
                case Next.AFTER_OUTAGE if await wait_for_api():
                    pass
                case Next.END_RUN:
                    raise ending
                case _:
                    return cast(BaseException, ending)

    async def _of_another_run(self, job: MacroChunkJob, key: str) -> ChunkResult | None:
        """Wait while another run computes a chunk; return the result that it has left."""
        waited = await self._claims.wait_until_free(key, job.execution)
        if not (waited and job.use_cache):
            return None
        result = await asyncio.to_thread(self._store.get, key)
        if result is not None:
            await asyncio.to_thread(self._claims.forgive, key)
        return result

    async def _attempt(self, job: MacroChunkJob, *, alone: bool) -> ChunkEnding | BaseException:
        """Send a chunk to the cluster once; return what its task returned or raised."""
        slots, subflows = self._run.settings.slots_per_worker, self._run.settings.subflows
        task = run_macro_chunk if subflows else run_without_subflow
        with dask.annotate(
            resources={GPU: WHOLE_WORKER if alone else 1 / slots},
            priority=ALONE_PRIORITY if alone else -self._order,
        ):
            future = task.submit(job.model_copy(update={"is_alone": alone}), job.address)
        try:
            return await ending_of(future)
        except asyncio.CancelledError:
            dask_future(future).cancel()  # it may not have started yet
            closing = close_task_run(future.task_run_id, "the run has ended", cancelled=True)
            await asyncio.shield(closing)
            raise

    async def _stored(self, key: str) -> ChunkResult:
        """Return the result that a worker has kept.

        Raises:
            EnvironmentFaultError: it is not in the chunk store that this process sees.
        """
        deadline = time.monotonic() + STORE_LAG_SEC
        while (result := await asyncio.to_thread(self._store.get, key)) is None:
            if time.monotonic() > deadline:
                raise EnvironmentFaultError(
                    f"a worker has kept its result in {self._run.settings.chunk_store_url}, and it "
                    "is not there on this host: set LONGFORM_CHUNK_STORE to a folder or an "
                    "object store that the flow and all workers share"
                )
            await asyncio.sleep(STORE_POLL_SEC)
        return result


async def ending_of(future: PrefectFuture[Coroutine[Any, Any, T]]) -> T | BaseException:
    """Return what a task on the Dask cluster returned or raised; wait without a thread for it."""
    await wait_until_done(future)
    try:
        # Typed as the coroutine of the task's function; what comes is its value, or an error.
        return cast(T, await asyncio.to_thread(future.result, raise_on_failure=False))
    except KilledWorker as error:
        await close_task_run(future.task_run_id, "the worker process died on every attempt")
        return cast(BaseException, error)
    except CancelledError:  # only this process cancels futures, and then waits for them no more
        await close_task_run(future.task_run_id, "the Dask scheduler is gone")
        return ClusterLostError(
            "the Dask scheduler is gone: start it, then run again; finished chunks are kept"
        )


async def result_of(future: PrefectFuture[Coroutine[Any, Any, T]]) -> T:
    """Return what a task on the Dask cluster returned; raise what it raised."""
    ending = await ending_of(future)
    if isinstance(ending, BaseException):
        raise ending
    return ending


def reason(error: BaseException) -> str:
    """Return why a chunk failed, in one line for people."""
    if isinstance(error, LongformError):
        return str(error)
    if isinstance(error, KilledWorker):
        return "the worker process died on every attempt"
    return f"{type(error).__name__}: {error}"
