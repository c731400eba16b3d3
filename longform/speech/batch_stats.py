"""What a batcher has done, and the time that its calls took."""

import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BatchStats:
    """What the batcher has done; `fill` is the mean share of a batch that was used (0-1)."""

    num_batches: int
    num_chunks: int
    batch_size: int
    most_waiting: int = 0  # chunks that were in the queue at a time

    @property
    def fill(self) -> float:
        """Chunks decoded over places in the batches that were sent."""
        return self.num_chunks / (self.num_batches * self.batch_size) if self.num_batches else 0.0


class WorkClock:
    """Counts the time in which at least one call is at work, and shares it among those that are.

    It goes at half its pace while there are two: what calls take by it sums to the time in which
    any of them was at work.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._num_calls = 0
        self._read_sec = time.monotonic()
        self._work_sec = 0.0

    def begin(self) -> float:
        """Note that a call begins; return the clock, in seconds."""
        return self._change(1)

    def end(self) -> float:
        """Note that a call has ended; return the clock, in seconds."""
        return self._change(-1)

    def _change(self, by: int) -> float:
        with self._lock:
            now_sec = time.monotonic()
            if self._num_calls:
                self._work_sec += (now_sec - self._read_sec) / self._num_calls
            self._read_sec = now_sec
            self._num_calls += by
            return self._work_sec
