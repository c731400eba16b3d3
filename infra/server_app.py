"""The Prefect server's application, with an answer to SQLite's lock that costs milliseconds.

SQLite refuses a write that began before another one ended. Prefect answers 503 to that, and
its client then waits 2 s, 4 s, 8 s ... on the worker that asked, where 0.1 s would do: the
lock is held for that long at most. A Retry-After header says so to the client.
"""

from typing import Any

from fastapi import FastAPI

RETRY_AFTER_SEC = 0.1
RETRY_AFTER = (b"retry-after", str(RETRY_AFTER_SEC).encode())


class RetrySoon:
    """ASGI middleware that adds `Retry-After` to every 503 that has none."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass the request on; look at the first message of the response."""

        async def send_with_header(message: Any) -> None:
            if message["type"] == "http.response.start" and message["status"] == 503:
                headers = message["headers"]
                if not any(name.lower() == RETRY_AFTER[0] for name, _ in headers):
                    message = {**message, "headers": [*headers, RETRY_AFTER]}
            await send(message)

        await self._app(scope, receive, send_with_header)


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
