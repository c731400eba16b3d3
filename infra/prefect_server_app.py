"""The Prefect server's application, with two answers to SQLite's lock that cost milliseconds.

**The fault upstream** (PrefectHQ/prefect, issues 19771 and 23051). SQLite has one writer at a time,
and Prefect lets every request begin its transaction at once:

* One that reads first and writes then is refused ("database is locked") where another has written
  in between. Prefect answers 503, and its client waits 2 s, 4 s, 8 s ... on the worker that asked.
* A thread that finds the database locked waits inside SQLite, for up to 60 s, with its connection's
  mutex held. Where Python's garbage collector runs in the main thread meanwhile and finds a cursor
  of that connection, it waits for the mutex, and with it the event loop, whose next step would have
  released the database: the whole server stood still for 60 s, once in some 50 subflows.

**What is done here.** `SqliteInTurns` has a transaction wait for its turn in the event loop, and
begin as a writer. What Prefect writes outside of transactions still waits inside SQLite, but not
for long. `RetrySoon` says in every remaining 503 that the client may ask again in 0.1 s: no lock is
held for longer. Several workers of a busy machine may find it held at each of a client's tries;
tries that are answered as during maintenance are not counted. Postgres is not touched.

**When it goes.** When Prefect itself lets one transaction write at a time: then
`tests/infra/test_sqlite_writers.py` fails and says so. Remove this module, and have
`infra/prefect_server.py` start `prefect.server.api.server:create_app`.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

from fastapi import FastAPI
from prefect.server.database.configurations import AioSqliteConfiguration
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

BUSY_MS = 2_000  # the longest that a thread waits inside SQLite; the caller then asks again
# A transaction takes milliseconds. Longer than this waits only one that is waited for by the one
# whose turn it is, and that must go first.
TURN_TIMEOUT_SEC = 10.0
RETRY_AFTER = (b"retry-after", b"0.1")  # seconds
NOT_COUNTED = (b"prefect-maintenance", b"true")
# A database that refuses everything for so long is not locked but broken, and clients are told.
PATIENCE_SEC = 60.0

_has_turn: ContextVar[bool] = ContextVar("longform_has_turn", default=False)


class SqliteInTurns(AioSqliteConfiguration):
    """Prefect's configuration of SQLite, with one transaction at a time."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def begin_transaction(
        self, session: AsyncSession, with_for_update: bool = False
    ) -> AsyncIterator[AsyncSessionTransaction]:
        """Begin a transaction when it has its turn; one inside of another has it already."""
        # As a writer, always: Prefect's recorders write all the time.
        async with self._in_turn(), super().begin_transaction(session, True) as begun:
            yield begun

    @asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[None]:
        if _has_turn.get():
            yield
            return
        has_lock = await self._wait_for_turn()
        token = _has_turn.set(True)
        try:
            yield
        finally:
            _has_turn.reset(token)
            if has_lock:
                self._turn.release()

    async def _wait_for_turn(self) -> bool:
        try:
            async with asyncio.timeout(TURN_TIMEOUT_SEC):
                return await self._turn.acquire()
        except TimeoutError:
            return False

    def setup_sqlite(self, conn: Any, record: Any) -> None:
        """Prepare a new connection."""
        super().setup_sqlite(conn, record)
        cursor = conn.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        cursor.close()


class RetrySoon:
    """ASGI middleware that adds `Retry-After` to every 503 that has none."""

    def __init__(self, app: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock
        self._refusing_since_sec: float | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass the request on; look at the first message of the response."""

        async def send_with_header(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"]
                message = {**message, "headers": [*headers, *self._added(scope, message)]}
            await send(message)

        await self._app(scope, receive, send_with_header)

    def _added(self, scope: Any, message: Any) -> list[tuple[bytes, bytes]]:
        if message["status"] != 503:
            is_read = scope.get("method") == "GET" or scope.get("path", "").endswith("/filter")
            if not is_read:  # reading goes on while no writer can
                self._refusing_since_sec = None
            return []
        now_sec = self._clock()
        since_sec = self._refusing_since_sec = self._refusing_since_sec or now_sec
        is_known = any(name.lower() == RETRY_AFTER[0] for name, _ in message["headers"])
        added = [] if is_known else [RETRY_AFTER]
        return [*added, NOT_COUNTED] if now_sec - since_sec < PATIENCE_SEC else added


def create_app() -> FastAPI:
    """Return Prefect's application with the middleware around it."""
    from prefect.server.api.server import create_app as prefect_app

    use_sqlite_in_turns()
    app = prefect_app()
    app.add_middleware(RetrySoon)
    return app


def use_sqlite_in_turns() -> None:
    """Have Prefect's server open SQLite so that writers take turns; Postgres is left alone."""
    from prefect.server.database.dependencies import set_database_config
    from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL

    url = str(PREFECT_API_DATABASE_CONNECTION_URL.value())
    if url.startswith("sqlite"):
        set_database_config(SqliteInTurns(connection_url=url))
