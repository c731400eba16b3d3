"""The Dask cluster of a flow run: opened when the first piece of work needs it, and checked."""

import asyncio
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any, Self, cast

from distributed import Client
from prefect.context import FlowRunContext

from flows.progress import ProgressReporter
from infra.cluster import require_resources
from infra.engine_plugin import load_engines
from infra.stopping import stop_everywhere
from infra.telemetry import subscription
from longform.errors import ClusterLostError
from longform.progress import ChunkEvent
from longform.run import Run
from longform.settings import Settings

WATCH_SEC = 5.0
WORKER_TIMEOUT_SEC = 120  # a worker process imports Prefect first: seconds, more when busy


class RunCluster:
    """The cluster behind the flow's `DaskTaskRunner`, with the engine loaded on its workers.

    A run that finds everything in its cache never opens one.
    """

    def __init__(self, run: Run, settings: Settings, progress: ProgressReporter) -> None:
        self._run = run
        self._settings = settings
        self._progress = progress
        self._opening: asyncio.Task[Client] | None = None
        self._loading: asyncio.Task[None] | None = None
        self._opened = asyncio.Event()
        self._stack = ExitStack()
        self.slots = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        started = [task for task in (self._opening, self._loading) if task is not None]
        opened = await asyncio.gather(*started, return_exceptions=True)
        if error is not None and started and isinstance(opened[0], Client):
            await asyncio.shield(stop_everywhere(opened[0], self._run.execution))
        await asyncio.to_thread(self._stack.close)

    def start(self) -> None:
        """Begin to open the cluster and to load the engine on it, beside other work."""
        if self._loading is None:
            self._loading = asyncio.create_task(self._load())

    async def client(self) -> Client:
        """Open the cluster on the first call; return its client.

        Raises:
            EnvironmentFaultError: no worker offers the resources that the flow needs.
        """
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
        return await asyncio.shield(self._opening)

    async def watch(self) -> None:
        """Watch the cluster, once it is open; never returns.

        Raises:
            ClusterLostError: the scheduler is gone, or every worker, and none has come back.
        """
        await self._opened.wait()
        client = await self.client()
        alone_sec = 0.0
        while client.status == "running" and alone_sec < WORKER_TIMEOUT_SEC:
            await asyncio.sleep(WATCH_SEC)
            with suppress(OSError, RuntimeError):  # its status will say so
                info = await asyncio.to_thread(client.scheduler_info, n_workers=-1)
                alone_sec = 0.0 if info["workers"] else alone_sec + WATCH_SEC
        what = "no worker is left at" if client.status == "running" else "nobody answers at"
        raise ClusterLostError(
            f"{what} the Dask scheduler {client.scheduler.address}: start it, then run again; "
            "finished chunks are kept"
        )

    async def load_engine(self) -> None:
        """Have every worker load the engine, on the first call; return when they have."""
        self.start()
        await asyncio.shield(cast("asyncio.Task[None]", self._loading))

    async def _open(self) -> Client:
        context = FlowRunContext.get()
        runner = cast(Any, context).task_runner
        client = cast(Client, await asyncio.to_thread(lambda: runner.client))
        await asyncio.to_thread(client.wait_for_workers, 1, WORKER_TIMEOUT_SEC)
        self.slots = require_resources(client, self._settings.slots_per_worker)
        loop = asyncio.get_running_loop()

        def hand_over(event: ChunkEvent) -> None:
            loop.call_soon_threadsafe(self._progress.chunk_event, event)

        self._stack.enter_context(subscription(client, self._run.run_id, hand_over))
        self._opened.set()
        return client

    async def _load(self) -> None:
        await load_engines(await self.client(), self._run.engine)
