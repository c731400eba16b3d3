"""What longform uses of Prefect and prefect-dask beyond what their documentation promises.

What flows use of it stands here, what the local server uses in `infra/prefect_server.py` and
`infra/prefect_server_app.py`. `tests/internals/test_internals_prefect.py` says what has gone when a
new version has changed it.
"""

import asyncio
from typing import Any, cast

import dask
from distributed import Client, Future
from prefect.context import FlowRunContext
from prefect.futures import PrefectFuture
from prefect_dask.task_runners import DaskTaskRunner, PrefectDaskFuture

from infra.clusters.workers import SHORT_LOGS
from longform.settings import Settings


def open_dask_client(settings: Settings) -> Client:
    """Open the cluster of this flow run's `DaskTaskRunner` under `settings`; return its client.

    Later calls return the same client. It takes seconds, so call it in a thread.
    """
    context = FlowRunContext.get()
    assert context is not None, "only in a flow run"
    runner = cast(DaskTaskRunner, context.task_runner)
    runner.cluster_kwargs["settings"] = settings  # of this run: each has a runner of its own
    with dask.config.set(SHORT_LOGS):  # for the client that is made here
        return runner.client


def dask_future(future: "PrefectFuture[Any]") -> Future:
    """Return what Dask knows of a task that was submitted."""
    return cast("PrefectDaskFuture[Any]", future).wrapped_future


async def wait_until_done(future: "PrefectFuture[Any]") -> None:
    """Wait for a submitted task to end in any way; `future.wait` would hold a thread for each."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def wake(_: PrefectFuture[Any]) -> None:
        loop.call_soon_threadsafe(done.set)

    future.add_done_callback(wake)
    await done.wait()
