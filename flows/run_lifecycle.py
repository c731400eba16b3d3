"""The frame of a flow run: what it works with, and that it ends in order, whatever happens.

`managed_run` is all of it. A run is recorded first, so that another process can close it where this
one is killed. One that is cancelled in the UI, through the API or by SIGTERM ends its work on the
cluster and leaves nothing open. What it has on disk only while it lasts is removed.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.runtime import deployment, flow_run
from prefect.states import Cancelled

from flows.orphaned_runs import close_dead_runs, close_subflows
from flows.progress import PublishedProgress
from flows.run_cluster import RunCluster
from infra.settings_variable import load_settings
from longform.media.model import source_policy
from longform.media.spool import RunScratch, open_scratch
from longform.net.policy import SourcePolicy
from longform.pipeline.chunk_cache import ChunkStore
from longform.runs.history import RunRecorder, recorded_run
from longform.runs.progress_tracker import RunProgressTracker
from longform.settings import Settings

logger = logging.getLogger(__name__)

POLL_SEC = 2.0  # between two looks at the state of the run; one costs the server 10 ms
CANCEL_AGAIN_SEC = 5.0  # seconds; what a task may take to put its things in order


@dataclass(frozen=True, slots=True)
class RunContext:
    """What a recording is worked on with. `run_id` is what its jobs carry, and so their news."""

    run_id: str
    settings: Settings
    policy: SourcePolicy
    cluster: RunCluster
    scratch: RunScratch
    progress: RunProgressTracker

    @property
    def store(self) -> ChunkStore:
        """The chunk results of all runs."""
        return ChunkStore(self.settings.chunk_store_url)


@dataclass(frozen=True, slots=True)
class ManagedRun(RunContext):
    """What a whole flow run works with, and the record of it that stays."""

    record: RunRecorder

    def output_target(self, output_dir: str | None) -> str:
        """Return where the files of this run go."""
        return self.settings.output_target(output_dir, deployed=deployment.id is not None)


@asynccontextmanager
async def managed_run(
    flow_name: str, title: str, progress: PublishedProgress
) -> AsyncIterator[ManagedRun]:
    """Frame a flow run: settings, history record, cancellation, progress, scratch and cluster.

    Where the run is cancelled in the UI or through the API, the context is left without an
    error; whatever comes after it then returns `cancelled()`.

    Args:
        flow_name: name of the flow, for the record.
        title: address of the recording, or another name for the work.
        progress: is shown as long as the run lasts.

    Raises:
        ParameterError: the Prefect variable with settings holds what no setting is.
    """
    run_id, home = str(flow_run.id), Settings().home  # which no variable sets
    ending = _Ending()
    async with (
        _without_error_where_cancelled(ending),
        _closing_dead_runs(home),
        cancelled_by_sigterm(),
        recorded_run(home, run_id, flow_name, title, progress.run_url) as record,
        _closing_what_is_open(run_id, ending),
        _cancelled_from_outside(run_id, ending),
    ):
        settings = await load_settings()
        async with (
            progress,
            open_scratch(settings) as scratch,
            RunCluster(run_id, settings) as cluster,
        ):
            policy = source_policy(settings)
            yield ManagedRun(run_id, settings, policy, cluster, scratch, progress, record)


def cancelled() -> Any:
    """Return what a flow returns that was cancelled: Prefect takes a state for the run's own."""
    return Cancelled(message="cancelled; finished chunks are kept")


@dataclass(slots=True)
class _Ending:
    """Why a run ends before its time."""

    is_cancelled: bool = False  # in the UI or through the API


@asynccontextmanager
async def _without_error_where_cancelled(ending: _Ending) -> AsyncIterator[None]:
    try:
        yield
    except asyncio.CancelledError:
        if not ending.is_cancelled or (task := asyncio.current_task()) is None:
            raise
        task.uncancel()


@asynccontextmanager
async def _closing_dead_runs(home: Path) -> AsyncIterator[None]:
    """Close the runs that earlier processes of this machine have left open, beside this one."""
    closing = asyncio.create_task(close_dead_runs(home))
    try:
        yield
    finally:
        await end([closing])


@asynccontextmanager
async def _closing_what_is_open(run_id: str, ending: _Ending) -> AsyncIterator[None]:
    """Close the subflow runs that are open when the run ends, whatever it ends with."""
    try:
        yield
    except asyncio.CancelledError:
        # The signal of the worker that started the run may be faster than the API.
        ending.is_cancelled = ending.is_cancelled or await _is_cancelled(run_id)
        raise
    finally:
        await asyncio.shield(close_subflows(run_id, cancelled=ending.is_cancelled))


@asynccontextmanager
async def _cancelled_from_outside(run_id: str, ending: _Ending) -> AsyncIterator[None]:
    """Cancel the current task when the run is cancelled from outside."""
    task = asyncio.current_task()

    async def watch() -> None:
        while not await _is_cancelled(run_id):  # noqa: ASYNC110
            await asyncio.sleep(POLL_SEC)
        logger.info("the run was cancelled")
        ending.is_cancelled = True
        if task is not None:
            cancel_once(task)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        await end([watching])


async def _is_cancelled(run_id: str) -> bool:
    try:
        async with get_client() as api:
            state = (await api.read_flow_run(cast("Any", run_id))).state
    except (httpx.HTTPError, PrefectHTTPStatusError, ObjectNotFound):
        return False  # the API is away
    return state is not None and (state.is_cancelling() or state.is_cancelled())


@asynccontextmanager
async def cancelled_by_sigterm() -> AsyncIterator[None]:
    """Cancel the current task at SIGTERM, as a container or an init system sends it.

    Every context around the task is then left. Prefect's own handler raises wherever the main
    thread happens to be: in a task whose result is not asked for, its signal was lost. What
    comes while the task ends is ignored until Prefect puts back the handler that was there before
    the flow: it would interrupt the ending, and leave things behind.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None, "only in a coroutine"
    try:
        # Not `loop.add_signal_handler`: that of the caller's program would be lost.
        before = signal.signal(
            signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(cancel_once, task)
        )
    except ValueError:  # not in the main thread, which alone gets signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN if task.cancelling() else before)


def cancel_once(task: asyncio.Task[Any]) -> None:
    """Cancel a task, unless it is about to end for that already.

    A run that is cancelled in the UI learns of it twice: from the API, and by the signal of the
    worker that has started it. So does one at Ctrl-C: the whole terminal gets that.
    """
    if not task.cancelling():
        task.cancel()


async def end(
    tasks: Collection[asyncio.Task[Any]], cancel_again_sec: float = CANCEL_AGAIN_SEC
) -> None:
    """Cancel tasks until every one has ended, whatever it ends with.

    Once is not always enough: `asyncio.wait_for` of Python 3.11, for one, loses a cancellation
    that comes together with the result, and libraries use it.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=cancel_again_sec)
    await asyncio.gather(*tasks, return_exceptions=True)
