"""Which macro chunks share this worker process, so that a death can be blamed on one of them.

A process that dies takes all of its chunks with it, and only one was to blame. A chunk that was
there at a death runs alone the next time: where the process dies again, it is the one.
"""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

POLL_SEC = 0.1


class Company:
    """The chunks of one process. They run on several event loops, so nothing here belongs to one.

    A chunk that wants to be alone keeps others from coming in, and waits for those inside.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._loners = 0  # waiting or inside
        self._is_lone = False

    @asynccontextmanager
    async def join(self, *, alone: bool) -> AsyncIterator[None]:
        """Be one of the chunks of this process; waits until that may be."""
        if alone:
            with self._lock:
                self._loners += 1
        entered = False
        try:
            while not (entered := self._enter(alone)):  # noqa: ASYNC110
                await asyncio.sleep(POLL_SEC)
            yield
        finally:
            self._leave(alone, entered)

    def _enter(self, alone: bool) -> bool:
        with self._lock:
            if self._is_lone or (self._inside if alone else self._loners):
                return False
            self._inside += 1
            self._is_lone = alone
            return True

    def _leave(self, alone: bool, entered: bool) -> None:
        with self._lock:
            self._inside -= int(entered)
            self._is_lone = self._is_lone and not (alone and entered)
            self._loners -= int(alone)


COMPANY = Company()
