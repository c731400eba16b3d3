"""Waiting for tasks on the cluster, without holding a thread for each."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import CancelledError
from typing import Any, TypeVar, cast

from distributed import KilledWorker
from prefect.futures import PrefectFuture

from flows.orphans import close_task_run
from longform.errors import ClusterLostError

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
