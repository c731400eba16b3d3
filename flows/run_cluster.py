"""The Dask cluster of a flow run: opened when the first piece of work needs it, and checked."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import Self

from distributed import Client
from prefect.settings import PREFECT_API_URL

from flows.in_flight import InFlightLimit
from flows.progress import publish_dashboard
from infra.chunk_events import subscription
from infra.cluster import require_resources
from infra.cluster_check import require_fit_workers
from infra.prefect_internals import open_dask_client
from infra.worker_cancellation import stop_everywhere
from infra.worker_plugin import EnginePlugin
from longform.errors import ClusterLostError, EnvironmentFaultError
from longform.runs.progress_events import ChunkEvent
from longform.settings import Settings
from longform.speech.engine import EngineSpec

WATCH_SEC = 5.0
WORKER_TIMEOUT_SEC = 120  # a worker process imports Prefect first: seconds, more when busy

Listener = Callable[[ChunkEvent], None]


class RunCluster:
    """The cluster behind the flow's `DaskTaskRunner`, shared by all recordings of a run.

    A run that finds everything in its cache never opens one.
    """

    def __init__(self, run_id: str, settings: Settings) -> None:
        self._run_id = run_id
        self._settings = settings
        self._opening: asyncio.Task[Client] | None = None
        self._loading: dict[EngineSpec, asyncio.Task[None]] = {}
        self._listeners: dict[str, Listener] = {}
        self._opened = asyncio.Event()
        self._stack = ExitStack()
        self.window = InFlightLimit()
        self.dashboard_url = ""  # known once the cluster is open

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        started = [task for task in (self._opening, *self._loading.values()) if task is not None]
        await asyncio.gather(*started, return_exceptions=True)
        await asyncio.to_thread(self._stack.close)

    def start(self, engine: EngineSpec) -> None:
        """Begin to open the cluster and to load an engine on it, beside other work."""
        if engine not in self._loading:
            self._loading[engine] = asyncio.create_task(self._load(engine))

    async def client(self) -> Client:
        """Open the cluster of the flow's `DaskTaskRunner` on the first call; return its client.

        Raises:
            EnvironmentFaultError: workers lack resources that the flow needs, run other
                versions, or do not reach the Prefect API.
        """
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
        return await asyncio.shield(self._opening)

    async def opened(self) -> None:
        """Return once the cluster is open; never, where it is not opened."""
        await self._opened.wait()

    async def watch(self) -> None:
        """Watch the cluster, once it is open; never returns.

        Raises:
            ClusterLostError: the scheduler is gone, or every worker, and none has come back.
        """
        await self.opened()
        client = await self.client()
        alone_sec = 0.0
        while client.status == "running" and alone_sec < WORKER_TIMEOUT_SEC:
            await asyncio.sleep(WATCH_SEC)
            with suppress(OSError, RuntimeError):  # its status will say so
                info = await asyncio.to_thread(client.scheduler_info, n_workers=-1)
                alone_sec = 0.0 if info["workers"] else alone_sec + WATCH_SEC
        what = "no worker is left at" if client.status == "running" else "there is no answer from"
        raise ClusterLostError(
            f"{what} the Dask scheduler {client.scheduler.address}: start it, then run again; "
            "finished chunks are kept"
        )

    async def stop(self, execution: str) -> None:
        """End what the workers still do for one execution of a run."""
        if self._opening is not None and self._opening.done() and not self._opening.exception():
            await stop_everywhere(self._opening.result(), execution)

    async def load_engine(self, engine: EngineSpec) -> None:
        """Have every worker load an engine, on the first call; return when they have."""
        self.start(engine)
        await asyncio.shield(self._loading[engine])

    @contextmanager
    def listening(self, run_id: str, listener: Listener) -> Iterator[None]:
        """Tell a listener how the chunks of a recording get on; their jobs carry `run_id`."""
        self._listeners[run_id] = listener
        try:
            yield
        finally:
            del self._listeners[run_id]

    def require_alive(self) -> None:
        """Check that the scheduler is still there, where one was reached.

        Raises:
            EnvironmentFaultError: it is not.
        """
        if self._opening is None or not self._opening.done() or self._opening.exception():
            return
        client = self._opening.result()
        if client.status not in ("running", "connecting"):
            raise EnvironmentFaultError(
                "the Dask cluster is gone: start it again; finished chunks are kept"
            )

    async def _open(self) -> Client:
        try:
            client = await asyncio.to_thread(open_dask_client, self._settings)
            await asyncio.to_thread(client.wait_for_workers, 1, WORKER_TIMEOUT_SEC)
        except OSError as error:  # TimeoutError is one
            raise EnvironmentFaultError(
                f"the Dask cluster {self._settings.cluster} cannot be reached, or has no worker: "
                f"start it, or set LONGFORM_CLUSTER ({' '.join(str(error).split())})"
            ) from error
        self.window.fit(await asyncio.to_thread(self._check, client))
        self.dashboard_url = client.dashboard_link or ""
        await publish_dashboard(self.dashboard_url)
        loop = asyncio.get_running_loop()

        def hand_over(run_id: str, event: ChunkEvent) -> None:
            loop.call_soon_threadsafe(self._tell, run_id, event)

        self._stack.enter_context(subscription(client, self._run_id, hand_over))
        self._opened.set()
        return client

    def _check(self, client: Client) -> int:
        per_worker = self._settings.slots_per_worker
        require_fit_workers(client, PREFECT_API_URL.value())
        # A cluster that grows must see more work than it can take, or it would not.
        most = (self._settings.max_workers or 0) * per_worker
        return max(require_resources(client, per_worker), most)

    def _tell(self, run_id: str, event: ChunkEvent) -> None:
        if (listener := self._listeners.get(run_id)) is not None:
            listener(event)

    async def _load(self, engine: EngineSpec) -> None:
        await asyncio.to_thread(load_engine, await self.client(), engine)


def load_engine(client: Client, engine: EngineSpec) -> None:
    """Have every worker load an engine and what else its first macro chunk needs; wait for it."""
    client.register_plugin(EnginePlugin(engine, ["flows.macro_chunk"]))
