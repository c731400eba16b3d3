"""How many requests there are at a time, and who is turned away: when full, and when stopping."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from longform.serving.api_error import ApiError, retry_after

STOPPING_RETRY_SEC = 5.0


class Admission:
    """Counts requests and knows their tasks. Lives on one event loop.

    Args:
        max_requests: most requests at a time.
        wait_sec: how long a client had better wait when there are as many.
    """

    def __init__(self, max_requests: int, wait_sec: Callable[[], float]) -> None:
        self._max_requests = max_requests
        self._wait_sec = wait_sec
        self._running: set[asyncio.Task[object]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self.stopping = False
        self.ended = False  # what was still running has been told to end

    @property
    def num_running(self) -> int:
        """Requests that are uploading, waiting or running."""
        return len(self._running)

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Let the task that asks be one of the requests, for as long as the context lasts.

        Raises:
            ApiError: 503 when the service stops, 429 when it is full.
        """
        if self.stopping:
            raise stopping()
        if self.num_running >= self._max_requests:
            raise ApiError(
                429,
                "rate_limit_exceeded",
                f"this service has {self._max_requests} requests to do: try again later",
                headers=retry_after(self._wait_sec()),
            )
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("requests are admitted inside of a task")
        self._running.add(task)
        self._idle.clear()
        try:
            yield
        finally:
            self._running.discard(task)
            if not self._running:
                self._idle.set()

    async def stop(self, grace_sec: float) -> None:
        """Turn new requests away; wait for those that run, at most so long, then end them."""
        self.stopping = True
        try:
            async with asyncio.timeout(grace_sec):
                await self._idle.wait()
        except TimeoutError:
            self.end()
            await self._idle.wait()

    def end(self) -> None:
        """End every request now; its client is told that the service stops."""
        self.stopping = self.ended = True
        for task in self._running:
            task.cancel()


def stopping() -> ApiError:
    """Return what clients are told while the service stops."""
    return ApiError(
        503,
        "stopping",
        "this service is stopping: send the request again, to another one or a little later",
        headers=retry_after(STOPPING_RETRY_SEC),
    )
