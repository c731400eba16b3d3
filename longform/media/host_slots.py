"""At most a few requests at a time to one host from one process, however many readers there are.

Readers live on several event loops (opening on the flow's, reading on the gateway's), so an
`asyncio.Semaphore`, which belongs to one, would count only some of them.
"""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

REQUESTS_PER_HOST = 4  # as browsers once had, and enough to fill a line

Waiter = tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class HostSlots:
    """The slots of one host, given out in the order in which they were asked for."""

    def __init__(self, num_slots: int = REQUESTS_PER_HOST) -> None:
        self._free = num_slots
        self._waiters: deque[Waiter] = deque()
        self._lock = threading.Lock()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold a slot; waits for one to become free."""
        await self._acquire()
        try:
            yield
        finally:
            self._release()

    async def _acquire(self) -> None:
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._free:
                self._free -= 1
                return
            granted = loop.create_future()
            self._waiters.append((loop, granted))
        try:
            await granted
        except asyncio.CancelledError:
            with self._lock:
                waiting = (loop, granted) in self._waiters
                if waiting:
                    self._waiters.remove((loop, granted))
            if granted.done() and not granted.cancelled():
                self._release()  # granted and cancelled in the same turn of the loop
            raise

    def _release(self) -> None:
        while True:
            with self._lock:
                if not self._waiters:
                    self._free += 1
                    return
                loop, granted = self._waiters.popleft()
            try:
                loop.call_soon_threadsafe(self._grant, granted)
            except RuntimeError:  # that loop has been closed: nobody waits there any more
                continue
            return

    def _grant(self, granted: "asyncio.Future[None]") -> None:
        if granted.done():
            self._release()
        else:
            granted.set_result(None)


_slots: dict[tuple[str, int | None], HostSlots] = {}
_making = threading.Lock()


def host_slots(host: str, port: int | None) -> HostSlots:
    """Return this process's slots of a host."""
    with _making:
        return _slots.setdefault((host, port), HostSlots())
