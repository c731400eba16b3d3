"""The Prefect server's application, with an answer to SQLite's lock that costs milliseconds.

SQLite refuses a write that began before another one ended. Prefect answers 503 to that, and
its client then waits 2 s, 4 s, 8 s ... on the worker that asked, where 0.1 s would do: the
lock is held for that long at most. A Retry-After header says so to the client.

Several workers on a busy machine may find the lock held at each of a client's tries, one after the
other. Tries that are answered as during maintenance are not counted.
"""

import time
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

RETRY_AFTER_SEC = 0.1
RETRY_AFTER = (b"retry-after", str(RETRY_AFTER_SEC).encode())
NOT_COUNTED = (b"prefect-maintenance", b"true")
# A database that refuses everything for so long is not locked but broken, and clients are told.
PATIENCE_SEC = 60.0


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
            if not is_read:  # reading goes on while nobody can write
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

    from infra.sqlite_turns import SqliteInTurns

    url = str(PREFECT_API_DATABASE_CONNECTION_URL.value())
    if url.startswith("sqlite"):
        set_database_config(SqliteInTurns(connection_url=url))
