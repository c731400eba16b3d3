"""The range gateway: the one way by which ffmpeg reaches any source.

ffmpeg is not trusted with the network: it reports success after a connection was cut, and
follows redirects anywhere. It is given an address on this host's loopback, behind which the
gateway reads the pinned source, retries, caches, and remembers what it failed to deliver.

There is one gateway per process, on the loop for sources (`io_loop`): nothing but its start
happens anywhere else.
"""

import asyncio
import secrets
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from longform.errors import InvariantError, LongformError
from longform.media.block_cache import BlockCache, CacheLimits, remote_cache
from longform.media.gateway.http_server import HEADER_BYTES, serve_connection
from longform.media.io_loop import io_loop, on_io_loop
from longform.media.model import Source
from longform.media.sources.open import open_reader
from longform.net.policy import SourcePolicy, scheme_of

BACKLOG = 100  # connections that wait to be accepted
LINGER_SEC = 10.0  # seconds; windows of one source follow each other, and share its header
LOCAL_LIMITS = CacheLimits(capacity_blocks=8, read_ahead_blocks=0)  # 2 MiB


class Served:
    """One user's view of a served source; what went wrong for this user is kept here."""

    _cache: BlockCache  # since the gateway has registered it

    def __init__(self, gateway: "Gateway", source: Source, policy: SourcePolicy) -> None:
        self.key = (source, policy)
        self._failure: BaseException | None = None
        self._num_waiting = 0
        self.bytes_sent = 0  # to this user's connections
        self.token = secrets.token_urlsafe(16)
        self.length_bytes = source.length_bytes
        self.url = f"http://127.0.0.1:{gateway.port}/{self.token}/"

    def attach(self, cache: BlockCache) -> None:
        """Take what this user reads through."""
        self._cache = cache

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
        return await on_io_loop(self._cache.read(start, end))

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
    """The server, and the sources that are registered just now.

    It listens at once; everything else about it happens on the loop for sources.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._served: dict[str, Served] = {}
        self._shared: dict[tuple[Source, SourcePolicy], _Shared] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self.port: int = self._socket.getsockname()[1]
        self._accepting = asyncio.run_coroutine_threadsafe(self._accept(), loop)

    async def register(self, served: Served) -> None:
        """Serve a source under its secret path; users of one source share its cache."""
        if served.key not in self._shared:
            self._shared[served.key] = _Shared(_make_cache(*served.key))
        shared = self._shared[served.key]
        shared.users += 1
        shared.registrations += 1
        served.attach(shared.cache)
        self._served[f"/{served.token}/"] = served

    def release(self, served: Served) -> None:
        """Stop serving a path; the source is forgotten when it was not used for a while."""
        if self._served.pop(f"/{served.token}/", None) is None:
            return  # it could not be registered
        shared = self._shared[served.key]
        shared.users -= 1
        asyncio.get_running_loop().call_later(
            LINGER_SEC, self._forget, served.key, shared.registrations
        )

    def forget(self, source: Source, policy: SourcePolicy) -> None:
        """Close a source now, unless it is in use, instead of after a while."""
        if (shared := self._shared.get((source, policy))) is not None:
            self._forget((source, policy), shared.registrations)

    def _forget(self, key: tuple[Source, SourcePolicy], seen: int) -> None:
        shared = self._shared.get(key)
        if shared is None or shared.users or shared.registrations != seen:
            return
        del self._shared[key]
        closing = asyncio.ensure_future(shared.cache.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _accept(self) -> None:
        server = await asyncio.start_server(
            lambda reader, writer: serve_connection(reader, writer, self._served.get),
            sock=self._socket,
            limit=HEADER_BYTES,
        )
        await server.serve_forever()


def _make_cache(source: Source, policy: SourcePolicy) -> BlockCache:
    reader = open_reader(source, policy)
    if scheme_of(source.url) in ("", "file"):  # the system has a cache of its own for these
        return BlockCache(reader, source.length_bytes, LOCAL_LIMITS)
    return remote_cache(reader, source, policy.block_dir)


_gateways: dict[asyncio.AbstractEventLoop, Gateway] = {}
_starting = threading.Lock()


def running_gateway() -> Gateway:
    """Return this process's gateway, started at the first call; from any thread."""
    loop = io_loop()
    with _starting:
        if loop not in _gateways:
            _gateways.clear()  # a forked child has no use for its parent's
            _gateways[loop] = Gateway(loop)
        return _gateways[loop]


def forget(source: Source, policy: SourcePolicy) -> None:
    """Say that a source will not be read again by this process."""
    io_loop().call_soon_threadsafe(running_gateway().forget, source, policy)


@asynccontextmanager
async def serve(source: Source, policy: SourcePolicy) -> AsyncIterator[Served]:
    """Serve a source to readers on this host for as long as the context lasts."""
    gateway = running_gateway()
    served = Served(gateway, source, policy)
    try:
        await on_io_loop(gateway.register(served))
        yield served
    finally:
        io_loop().call_soon_threadsafe(gateway.release, served)
