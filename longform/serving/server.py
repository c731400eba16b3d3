"""A model service as a process: listen, load the model, serve, and stop when told to."""

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial

import uvicorn

from longform.errors import EnvironmentFaultError, LongformError
from longform.params import TranscribeParams
from longform.serving.api import Api
from longform.serving.connection import PatientConnection
from longform.serving.metrics import Metrics
from longform.serving.model_host import ModelHost
from longform.serving.service_settings import ServiceSettings
from longform.settings import Settings

# After the grace there is nothing to wait for but the sending of answers.
SEND_TIMEOUT_SEC = 5
# What waits in threads is reading, cutting and queueing, a little for each recording.
THREADS_PER_RECORDING = 2
BACKLOG = 512

Say = Callable[[str], None]
Stop = Callable[[], object]


def serve(
    service: ServiceSettings,
    params: TranscribeParams,
    settings: Settings,
    say: Say,
    on_start: Callable[[Stop], None] | None = None,
) -> None:
    """Serve the model of `params` until it is stopped, by a signal or a call.

    Args:
        service: address, keys and limits.
        params: the model and how it decodes.
        settings: of this machine.
        say: is told what happens, a line at a time.
        on_start: is given what stops the service, from any thread.

    Raises:
        LongformError: the address is taken, or the model cannot be loaded.
    """
    asyncio.run(_serve(service, params, settings, say, on_start or (lambda stop: None)))


async def _serve(
    service: ServiceSettings,
    params: TranscribeParams,
    settings: Settings,
    say: Say,
    on_start: Callable[[Stop], None],
) -> None:
    metrics = Metrics()
    host = ModelHost(params, settings, service.alias_names, metrics, service.batch_wait_ms / 1_000)
    api = Api(service, params, host, metrics, settings.ffmpeg)
    threads = THREADS_PER_RECORDING * service.max_decoding
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(threads, "longform-io"))
    with _listen(service) as listener:
        server = ModelServer(api, service, say)
        on_start(partial(asyncio.get_running_loop().call_soon_threadsafe, server.stop))
        say(f"listening on {_address(listener)}/v1")
        loading = asyncio.create_task(_load(host, server, say))
        await server.serve(sockets=[listener])
    try:
        if loading.done():
            loading.result()
        elif not server.was_stopped:
            await loading
    finally:
        loading.cancel()
        await asyncio.to_thread(host.close)


async def _load(host: ModelHost, server: "ModelServer", say: Say) -> None:
    try:
        await host.load()
    except LongformError:
        server.should_exit = True
        raise
    say(f"the model is loaded: {', '.join(host.names)}")


class ModelServer(uvicorn.Server):
    """uvicorn's server, which on a signal first lets requests end while it refuses new ones."""

    def __init__(self, api: Api, service: ServiceSettings, say: Say) -> None:
        super().__init__(
            uvicorn.Config(
                api.app(),
                http=PatientConnection,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                # The service's own limits come first, and say so in the API's words.
                limit_concurrency=4 * service.max_requests + 100,
                backlog=BACKLOG,
                timeout_graceful_shutdown=SEND_TIMEOUT_SEC,
            )
        )
        self._api = api
        self._grace_sec = service.grace_sec
        self._say = say
        self._stopping: asyncio.Task[None] | None = None
        self.was_stopped = False

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop gracefully at the first signal, at once at the second."""
        loop = asyncio.get_running_loop()
        in_main_thread = threading.current_thread() is threading.main_thread()
        signals = (signal.SIGINT, signal.SIGTERM) if in_main_thread else ()
        for number in signals:
            loop.add_signal_handler(number, self.stop)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    def stop(self) -> None:
        """Begin to stop; asked again, end what is running."""
        self.was_stopped = True
        if self._stopping is None:
            self._say("stopping: new requests are refused, running ones may end")
            self._stopping = asyncio.create_task(self._stop())
        else:
            self._api.admission.end()

    async def _stop(self) -> None:
        await self._api.admission.stop(self._grace_sec)
        self.should_exit = True


@contextmanager
def _listen(service: ServiceSettings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in service.host else socket.AF_INET
    try:
        listener = socket.create_server(
            (service.host, service.port), family=family, backlog=BACKLOG
        )
    except OSError as error:
        raise EnvironmentFaultError(
            f"cannot listen on {service.host}, port {service.port} ({error.strerror}): "
            "give another --port or --host"
        ) from error
    with suppress(OSError), listener:
        yield listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
