"""The Dask cluster of a flow run: opened when the first piece of work needs it, and checked."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, Self, cast

from distributed import Client
from prefect.context import FlowRunContext

from flows.chunk_window import ChunkWindow
from infra.cluster import require_resources
from infra.engine_plugin import load_engines
from infra.telemetry import subscription
from longform.errors import EnvironmentFaultError
from longform.progress import MicroDone
from longform.settings import Settings
from longform.speech.engine import EngineSpec

WORKER_TIMEOUT_SEC = 120  # a worker process imports Prefect first: seconds, more when busy

Listener = Callable[[MicroDone], None]


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
        self._stack = ExitStack()
        self.window = ChunkWindow()

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
        """Open the cluster on the first call; return its client.

        Raises:
            EnvironmentFaultError: no worker offers the resources that the flow needs.
        """
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
        return await asyncio.shield(self._opening)

    async def load_engine(self, engine: EngineSpec) -> None:
        """Have every worker load an engine, on the first call; return when they have."""
        self.start(engine)
        await asyncio.shield(self._loading[engine])

    @contextmanager
    def listening(self, run_id: str, listener: Listener) -> Iterator[None]:
        """Tell a listener of every micro chunk of the recording whose jobs carry `run_id`."""
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
        context = FlowRunContext.get()
        runner = cast(Any, context).task_runner
        try:
            client = cast(Client, await asyncio.to_thread(lambda: runner.client))
            await asyncio.to_thread(client.wait_for_workers, 1, WORKER_TIMEOUT_SEC)
        except OSError as error:  # TimeoutError is one
            raise EnvironmentFaultError(
                f"the Dask cluster {self._settings.cluster} cannot be reached, or has no worker: "
                f"start it, or set LONGFORM_CLUSTER ({' '.join(str(error).split())})"
            ) from error
        self.window.fit(require_resources(client, self._settings.slots_per_worker))
        loop = asyncio.get_running_loop()

        def hand_over(run_id: str, event: MicroDone) -> None:
            loop.call_soon_threadsafe(self._tell, run_id, event)

        self._stack.enter_context(subscription(client, self._run_id, hand_over))
        return client

    def _tell(self, run_id: str, event: MicroDone) -> None:
        if (listener := self._listeners.get(run_id)) is not None:
            listener(event)

    async def _load(self, engine: EngineSpec) -> None:
        await load_engines(await self.client(), engine)
