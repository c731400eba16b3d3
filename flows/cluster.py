"""The Dask cluster of a flow run: opened when the first piece of work needs it, and checked."""

import asyncio
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self, cast

from distributed import Client
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_API_URL

from flows.dashboard import publish_dashboard
from flows.progress import ProgressReporter
from infra.cluster import require_resources
from infra.cluster_check import require_fit_workers
from infra.engine_plugin import load_engines
from infra.telemetry import subscription
from longform.progress import ChunkEvent
from longform.run import Run
from longform.settings import Settings

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
        self._stack = ExitStack()
        self.slots = 0
        self.dashboard_url = ""  # known once the cluster is open

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        started = [task for task in (self._opening, self._loading) if task is not None]
        await asyncio.gather(*started, return_exceptions=True)
        await asyncio.to_thread(self._stack.close)

    def start(self) -> None:
        """Begin to open the cluster and to load the engine on it, beside other work."""
        if self._loading is None:
            self._loading = asyncio.create_task(self._load())

    async def client(self) -> Client:
        """Open the cluster on the first call; return its client.

        Raises:
            EnvironmentFaultError: workers lack resources that the flow needs, run other
                versions, or do not reach the Prefect API.
        """
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
        return await asyncio.shield(self._opening)

    async def load_engine(self) -> None:
        """Have every worker load the engine, on the first call; return when they have."""
        self.start()
        await asyncio.shield(cast("asyncio.Task[None]", self._loading))

    async def _open(self) -> Client:
        context = FlowRunContext.get()
        runner = cast(Any, context).task_runner
        client = cast(Client, await asyncio.to_thread(lambda: runner.client))
        await asyncio.to_thread(client.wait_for_workers, 1, WORKER_TIMEOUT_SEC)
        await asyncio.to_thread(self._check, client)
        self.dashboard_url = client.dashboard_link or ""
        await publish_dashboard(self.dashboard_url)
        loop = asyncio.get_running_loop()

        def hand_over(event: ChunkEvent) -> None:
            loop.call_soon_threadsafe(self._progress.chunk_event, event)

        self._stack.enter_context(subscription(client, self._run.run_id, hand_over))
        return client

    def _check(self, client: Client) -> None:
        per_worker = self._settings.slots_per_worker
        require_fit_workers(client, PREFECT_API_URL.value())
        # A cluster that grows must see more work than it can take, or it would not.
        most = (self._settings.max_workers or 0) * per_worker
        self.slots = max(require_resources(client, per_worker), most)

    async def _load(self) -> None:
        await load_engines(await self.client(), self._run.engine)
