"""The life of a flow run from outside: it is noted, can be cancelled, and leaves nothing open."""

import asyncio
import functools
import gc
import logging
import signal
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar, cast

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.runtime import flow_run
from prefect.states import Cancelled

from flows.orphaned_runs import close_dead_runs, close_subflows
from infra.quick_exit import quick_exit
from longform.runs.history import noted
from longform.settings import Settings

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

# New objects before Python looks for cycles. At its 700 it walks through all words of a transcript
# again and again while they come into being, which was two thirds of the time that took.
SELDOM = 20_000

POLL_SEC = 2.0  # between two looks at the state of the run; one costs the server 10 ms


@dataclass(slots=True)
class Ending:
    """Why a run ends before its time."""

    is_cancelled: bool = False  # somebody asked for it, in the UI or through the API


def orderly(
    function: Callable[P, Coroutine[Any, Any, R]],
) -> Callable[P, Coroutine[Any, Any, R]]:
    """Wrap the function of a flow, so that its runs end in order.

    A run that is cancelled in the UI or through the API ends as Cancelled, whoever carries it
    out. Subflow runs that lost their process are closed with it, and so are the runs that an
    earlier process of this machine has left behind.
    """

    @functools.wraps(function)
    async def run(*args: P.args, **kwargs: P.kwargs) -> R:
        quick_exit()
        gc.set_threshold(SELDOM, *gc.get_threshold()[1:])
        run_id, ending, home = str(flow_run.id), Ending(), Settings().home
        closing = asyncio.create_task(close_dead_runs(home))
        try:
            async with cancelled_by_sigterm():
                with noted(home, run_id):
                    async with _closing_what_is_open(run_id, ending):
                        return await function(*args, **kwargs)
        except asyncio.CancelledError:
            if not ending.is_cancelled or (task := asyncio.current_task()) is None:
                raise
            task.uncancel()
            state: Any = Cancelled(message="cancelled; finished chunks are kept")
            return cast("R", state)  # Prefect takes a returned state for the run's own
        finally:
            await end([closing])

    return run


@asynccontextmanager
async def _closing_what_is_open(run_id: str, ending: Ending) -> AsyncIterator[None]:
    """Close the subflow runs that are open when the run ends, whatever it ends with."""
    try:
        async with _cancelled_from_outside(run_id, ending):
            yield
    except asyncio.CancelledError:
        # The signal of the worker that started the run may be faster than the API.
        ending.is_cancelled = ending.is_cancelled or await _is_cancelled(run_id)
        raise
    finally:
        await asyncio.shield(close_subflows(run_id, cancelled=ending.is_cancelled))


@asynccontextmanager
async def _cancelled_from_outside(run_id: str, ending: Ending) -> AsyncIterator[None]:
    """Cancel the current task when somebody cancels the run."""
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
        return False  # nobody can say so just now
    return state is not None and (state.is_cancelling() or state.is_cancelled())


# SIGTERM, as a worker of Prefect, a container or an init system sends it, ends a flow cleanly.


CANCEL_AGAIN_SEC = 5.0  # seconds; what a task may take to put its things in order


@asynccontextmanager
async def cancelled_by_sigterm() -> AsyncIterator[None]:
    """Cancel the current task at SIGTERM, so that every context around it is left.

    Prefect's own handler raises wherever the main thread happens to be: in a task of which
    nobody asks the result, its signal was lost. What comes while the task ends is ignored, until
    Prefect puts its own handler back: it would interrupt the ending, and leave things behind.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None, "only in a coroutine"
    before = signal.getsignal(signal.SIGTERM)
    try:
        loop.add_signal_handler(signal.SIGTERM, cancel_once, task)
    except (ValueError, RuntimeError):  # not in the main thread, which alone gets signals
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
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
