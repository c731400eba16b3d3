"""Prefect's SQLite database, in which writers take turns.

SQLite has one writer at a time. Prefect lets every request begin its transaction at once, and a
thread that finds the database locked waits inside SQLite, for up to 60 s, with its connection's
mutex held. Should Python's garbage collector run in the main thread meanwhile and find a cursor
of that connection, it waits for the mutex, and with it the event loop, whose next step would have
released the database: the whole server stood still for 60 s, once in some 50 subflows.

Here a transaction waits for its turn in the event loop instead. What Prefect writes outside of
transactions still waits inside SQLite, but not for long.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

from prefect.server.database.configurations import AioSqliteConfiguration
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

BUSY_MS = 2_000  # the longest that a thread waits inside SQLite; whoever asked then asks again
# A transaction takes milliseconds. Longer than this waits only one that is waited for by the one
# whose turn it is, and that must go first.
TURN_TIMEOUT_SEC = 10.0

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
        # Immediate, always: one that reads first and writes then is refused where anything was
        # written in between, and Prefect's recorders write all the time.
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
