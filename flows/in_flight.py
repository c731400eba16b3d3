"""One queue for the chunks of all recordings of a run, so that no slot idles at a file's end."""

import asyncio
import heapq
from itertools import count

# Beyond the chunks that run, as many again wait at the cluster: enough that no slot idles,
# few enough that workers which join late still get some and that spooled audio stays small.
WINDOW_PER_SLOT = 2


class InFlightLimit:
    """Counts the chunks on their way, and says who may bring the next: shorter recordings first.

    A short one is through in no time, and the chunks of long ones fill what it leaves idle. The
    other way round, the short ones would come last, when opening and joining them takes longer
    than transcribing them and nothing is left to do meanwhile.

    Room is not kept for anybody: a recording that was told of it may be slow to decode its
    next chunk, and the first recording that has one takes it.
    """

    def __init__(self) -> None:
        self._slots = 1
        self._running = 0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._ticket = count()

    @property
    def slots(self) -> int:
        """How many chunks the cluster runs at a time; 1 until it is known."""
        return self._slots

    def fit(self, slots: int) -> None:
        """Take note of how many chunks the cluster runs at a time."""
        self._slots = slots
        self._wake()

    def enter(self) -> None:
        """Count a chunk that is sent."""
        self._running += 1

    def leave(self) -> None:
        """Count a chunk that has ended."""
        self._running -= 1
        self._wake()

    async def room(self, order: int) -> None:
        """Return once there is room for the next chunk of the recording of that order."""
        if self._room > 0:
            return
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (order, next(self._ticket), told))
        await told

    @property
    def _room(self) -> int:
        return self._slots * WINDOW_PER_SLOT - self._running

    def _wake(self) -> None:
        # Nothing waits at the cluster any more: every recording may bring its next chunk. This
        # is also why none waits for ever behind one that was told and has no more chunks.
        room = len(self._waiting) if self._running <= self._slots else self._room
        while room > 0 and self._waiting:
            *_, told = heapq.heappop(self._waiting)
            if not told.done():  # it may have been cancelled
                told.set_result(None)
                room -= 1
