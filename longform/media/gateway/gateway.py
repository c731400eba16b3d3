"""The range gateway: the one way by which ffmpeg reaches any source.

ffmpeg is not trusted with the network: it reports success after a connection was cut, and
follows redirects anywhere. It is given an address on this host's loopback, behind which the
gateway reads the pinned source, retries, caches, and remembers what it failed to deliver.

There is one gateway per process, on a thread and an event loop of its own, because tasks
come and go on threads and loops of theirs, while sources are shared between them.
"""

import asyncio
import os
import secrets
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from longform.errors import InvariantError, LongformError
from longform.media.block_cache import BlockCache, CacheLimits, remote_cache
from longform.media.gateway.http_server import HEADER_BYTES, serve_connection
from longform.media.model import Source
from longform.media.sources.open import open_reader
from longform.net.policy import SourcePolicy, scheme_of

Result = TypeVar("Result")

LINGER_SEC = 10.0  # seconds; windows of one source follow each other, and share its header
LOCAL_LIMITS = CacheLimits(capacity_blocks=8, read_ahead_blocks=0)  # 2 MiB


class Served:
    """One user's view of a served source; what went wrong for this user is kept here."""

    def __init__(self, gateway: "Gateway", token: str, source: Source, cache: BlockCache) -> None:
        self._gateway = gateway
        self._cache = cache
        self._failure: BaseException | None = None
        self._num_waiting = 0
        self.bytes_sent = 0  # to this user's connections
        self.token = token
        self.length_bytes = source.length_bytes
        self.url = f"http://127.0.0.1:{gateway.port}/{token}/"

    @property
    def bytes_fetched(self) -> int:
        """Bytes read from the source so far by all users of it in this process."""
        return self._cache.bytes_fetched

    @property
    def waits_for_source(self) -> bool:
        """Whether a connection of this user is waiting for bytes of the source just now."""
        return self._num_waiting > 0

    def raise_for_failure(self) -> None:
        """Raise what kept the gateway from delivering a byte that was asked for, if anything.

        Raises:
            LongformError: the first failure.
        """
        if isinstance(self._failure, LongformError):
            raise self._failure
        if self._failure is not None:
            raise InvariantError(f"the gateway failed: {self._failure!r}") from self._failure

    async def read(self, start: int, end: int) -> bytes:
        """Return the bytes `[start, end)`, clipped to the source; from any event loop."""
        return await self._gateway.run(self._cache.read(start, end))

    async def send(self, start: int, end: int, writer: asyncio.StreamWriter) -> bool:
        """Write the bytes `[start, end)` to a connection; False after a failure."""
        parts = self._cache.stream(start, end)
        while True:
            self._num_waiting += 1
            try:
                part = await anext(parts)
            except StopAsyncIteration:
                return True
            except LongformError as error:
                self._failure = self._failure or error
                return False
            except BaseException as error:
                self._failure = self._failure or error
                raise
            finally:
                self._num_waiting -= 1
            writer.write(part)
            await writer.drain()
            self.bytes_sent += len(part)


@dataclass
class _Shared:
    """A source that is, or lately was, in use by this process."""

    cache: BlockCache
    users: int = 0
    registrations: int = 0


class Gateway:
    """The server, its thread, and the sources that are registered just now."""

    def __init__(self) -> None:
        self._served: dict[str, Served] = {}
        self._shared: dict[tuple[Source, SourcePolicy], _Shared] = {}
        self._registering = threading.Lock()
        self._ready = threading.Event()
        self.port = 0
        threading.Thread(target=self._run_thread, name="range-gateway", daemon=True).start()
        self._ready.wait()

    def register(self, source: Source, policy: SourcePolicy) -> Served:
        """Serve a source under a new secret path; users of one source share its cache."""
        with self._registering:
            shared = self._shared.get((source, policy))
            if shared is None:
                shared = _Shared(_make_cache(source, policy))
                self._shared[source, policy] = shared
            shared.users += 1
            shared.registrations += 1
            served = Served(self, secrets.token_urlsafe(16), source, shared.cache)
            self._served[f"/{served.token}/"] = served
            return served

    def release(self, served: Served, source: Source, policy: SourcePolicy) -> None:
        """Stop serving a path; the source is forgotten when it was not used for a while."""
        with self._registering:
            del self._served[f"/{served.token}/"]
            shared = self._shared[source, policy]
            shared.users -= 1
            seen = shared.registrations
        self._loop.call_soon_threadsafe(
            self._loop.call_later, LINGER_SEC, self._forget, (source, policy), seen
        )

    def forget(self, source: Source, policy: SourcePolicy) -> None:
        """Close a source now, unless it is in use, instead of after a while."""
        with self._registering:
            shared = self._shared.get((source, policy))
        if shared is not None:
            seen = shared.registrations
            self._loop.call_soon_threadsafe(self._forget, (source, policy), seen)

    def _forget(self, key: tuple[Source, SourcePolicy], seen: int) -> None:
        with self._registering:
            shared = self._shared.get(key)
            if shared is None or shared.users or shared.registrations != seen:
                return
            del self._shared[key]
        self._closing = asyncio.ensure_future(shared.cache.close())

    async def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine on the gateway's loop and return its result on the caller's."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def _run_thread(self) -> None:
        asyncio.run(self._serve_forever())

    async def _serve_forever(self) -> None:
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(
            lambda reader, writer: serve_connection(reader, writer, self._served.get),
            "127.0.0.1",
            limit=HEADER_BYTES,
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await server.serve_forever()


def _make_cache(source: Source, policy: SourcePolicy) -> BlockCache:
    reader = open_reader(source, policy)
    if scheme_of(source.url) in ("", "file"):  # the system has a cache of its own for these
        return BlockCache(reader, source.length_bytes, LOCAL_LIMITS)
    return remote_cache(reader, source, policy.block_dir)


_gateways: dict[int, Gateway] = {}  # by process: a forked child has no thread of its parent's
_starting = threading.Lock()


def running_gateway() -> Gateway:
    """Return this process's gateway, started at the first call."""
    with _starting:
        if os.getpid() not in _gateways:
            _gateways.clear()
            _gateways[os.getpid()] = Gateway()
        return _gateways[os.getpid()]


def forget(source: Source, policy: SourcePolicy) -> None:
    """Say that a source will not be read again by this process."""
    running_gateway().forget(source, policy)


@asynccontextmanager
async def serve(source: Source, policy: SourcePolicy) -> AsyncIterator[Served]:
    """Serve a source to readers on this host for as long as the context lasts."""
    gateway = await asyncio.to_thread(running_gateway)
    served = gateway.register(source, policy)
    try:
        yield served
    finally:
        gateway.release(served, source, policy)
