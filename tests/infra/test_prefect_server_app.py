"""What our server adds to Prefect's answers."""

from typing import Any

import pytest

from infra.prefect_server_app import PATIENCE_SEC, RetrySoon


async def added(statuses: list[tuple[float, str, int]]) -> list[set[str]]:
    """Return the headers that are added to answers: given at a time, to a method, of a status."""
    clock = [0.0]
    answer: dict[str, int] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": answer["status"], "headers": []})

    middleware = RetrySoon(app, lambda: clock[0])
    got: list[set[str]] = []

    async def send(message: Any) -> None:
        got.append({name.decode() for name, _ in message["headers"]})

    for now_sec, method, status in statuses:
        clock[0], answer["status"] = now_sec, status
        await middleware({"method": method}, None, send)
    return got


SOON, COUNTED = {"retry-after", "prefect-maintenance"}, {"retry-after"}


@pytest.mark.parametrize(
    ("answers", "headers"),
    [
        ([(1.0, "GET", 200), (2.0, "POST", 503)], [set(), SOON]),
        ([(1.0, "POST", 503), (1.0 + PATIENCE_SEC, "POST", 503)], [SOON, COUNTED]),
        (
            [(1.0, "POST", 503), (2.0, "GET", 200), (1.0 + PATIENCE_SEC, "POST", 503)],
            [SOON, set(), COUNTED],
        ),
        (
            [(1.0, "POST", 503), (2.0, "POST", 201), (1.0 + PATIENCE_SEC, "POST", 503)],
            [SOON, set(), SOON],
        ),
    ],
    ids=["locked", "broken", "broken, and read from", "locked again"],
)
async def test_a_locked_database_is_asked_again_soon(
    answers: list[tuple[float, str, int]], headers: list[set[str]]
) -> None:
    """Clients come again soon and without end, unless no write at all has come through."""
    assert await added(answers) == headers
