"""Our Prefect server, counting what is asked of it: `GET /counts` tells, and begins anew.

The application of `infra.prefect_server_app` with one more layer around it. A path is counted
without the ids in it.
"""

import json
import re
from collections import Counter
from typing import Any

from infra.prefect_server_app import create_app as server_app

COUNTS_PATH = "/counts"
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


class Counting:
    """ASGI middleware that counts requests, answers by status, and websocket messages."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._counts: Counter[str] = Counter()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass it on and count it."""
        if scope["type"] == "http" and scope["path"] == COUNTS_PATH:
            await self._tell(send)
            return
        path = _ID.sub("ID", scope.get("path", ""))
        if scope["type"] == "http":
            self._counts[f"{scope['method']} {path}"] += 1

        async def counted_receive() -> Any:
            message = await receive()
            if message["type"] == "websocket.receive":
                self._counts[f"MESSAGE {path}"] += 1
            return message

        async def counted_send(message: Any) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                self._counts[f"STATUS {message['status']}"] += 1
            await send(message)

        await self._app(scope, counted_receive, counted_send)

    async def _tell(self, send: Any) -> None:
        body = json.dumps(self._counts).encode()
        self._counts.clear()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})


def create_app() -> Any:
    """Return the application of our server with the counting around it."""
    return Counting(server_app())
