"""Questions to the Prefect server of a test, as Prefect's own client asks them."""

import time
from typing import Any

import httpx

PATIENCE_SEC = 300.0
BUSY = 503  # SQLite was locked: the server says to ask again
PAUSE_SEC = 0.2


def ask_server(api_url: str, method: str, path: str, content: Any = None) -> Any:
    """Ask the API and return what it says, or None where it says nothing."""
    deadline = time.monotonic() + PATIENCE_SEC
    while True:
        answer = httpx.request(
            method, f"{api_url}/{path}", json=content, trust_env=False, timeout=PATIENCE_SEC
        )
        if answer.status_code != BUSY or time.monotonic() > deadline:
            break
        time.sleep(PAUSE_SEC)
    answer.raise_for_status()
    return answer.json() if answer.content else None
