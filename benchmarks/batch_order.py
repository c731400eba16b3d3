"""A simulation of a bulk run: which file's chunk goes first, and which file is started first.

    python -m benchmarks.batch_order [--workers 8] [--times-real-time 60] [--files-in-flight 4]

Workers have two slots that share a GPU; a bounded number of files is open at a time, and opening,
joining and writing one takes seconds in which its chunks are not there yet, or not any more. A
sequential file gives its chunks at the speed of one decoder. `benchmarks.mixed_batch` is the
same batch as a real run.
"""

import argparse
import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

from benchmarks.quality import line

MACRO_SEC = 300.0
SLOTS_PER_WORKER = 2
WINDOW_PER_SLOT = 2  # as in flows/in_flight.py
OPENING_SEC, ENDING_SEC = 1.0, 0.5  # of one file, on two cores
DECODER_SPEED = 250.0  # times real time, of one pass
SEED = 20


@dataclass(slots=True)
class File:
    """A recording of a batch, and how far it is."""

    number: int
    duration_sec: float
    is_sequential: bool = False
    opened_sec: float = 0.0
    ended_sec: float = 0.0
    num_sent: int = 0
    num_ended: int = 0

    @property
    def chunks(self) -> list[float]:
        """Lengths of its macro chunks, in seconds of audio."""
        whole, rest = divmod(self.duration_sec, MACRO_SEC)
        return [MACRO_SEC] * int(whole) + ([rest] if rest else [])

    def ready_sec(self, index: int) -> float:
        """Return when a chunk can be sent."""
        if not self.is_sequential:
            return self.opened_sec
        return self.opened_sec + min((index + 1) * MACRO_SEC, self.duration_sec) / DECODER_SPEED

    @property
    def left_sec(self) -> float:
        """Audio that has not been sent."""
        return sum(self.chunks[self.num_sent :])


Rank = Callable[[File], float]  # lower goes first
SERVED: dict[str, Rank] = {
    "earlier first": lambda file: file.number,
    "longest first": lambda file: -file.duration_sec,
    "most left first": lambda file: -file.left_sec,
    "shortest first": lambda file: file.duration_sec,
    "least left first": lambda file: file.left_sec,
}
STARTED: dict[str, Rank] = {
    "as listed": lambda file: file.number,
    "longest first": lambda file: -file.duration_sec,
}


PAIRS = (
    *(("as listed", served) for served in SERVED),
    ("longest first", "longest first"),
    ("longest first", "least left first"),
)


@dataclass(slots=True)
class Simulation:
    """One batch on simulated workers. `run` returns when it ended; then the figures are there."""

    files: Sequence[File]
    num_workers: int
    times_real_time: float
    files_in_flight: int
    started: Rank
    served: Rank
    now_sec: float = 0.0
    busy_sec: float = 0.0
    last_start_sec: float = 0.0
    idle_from_sec: float = 0.0  # since when some slot has had nothing to do until the end
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _ticket: count = field(default_factory=count)
    _open: list[File] = field(default_factory=list)
    _waiting: list[File] = field(default_factory=list)
    _running: list[int] = field(default_factory=list)

    def run(self) -> float:
        """Let it run to its end; return how long it took."""
        self._waiting = sorted(self.files, key=self.started)
        self._running = [0] * self.num_workers
        self._fill()
        while self._events:
            self.now_sec, _, act = heapq.heappop(self._events)
            act()
            self._fill()
        return self.now_sec

    def _at(self, when_sec: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when_sec, next(self._ticket), act))

    def _fill(self) -> None:
        while self._waiting and len(self._open) < self.files_in_flight:
            file = self._waiting.pop(0)
            file.opened_sec = self.now_sec + OPENING_SEC
            self._open.append(file)
            for index in range(len(file.chunks)):
                self._at(file.ready_sec(index), lambda: None)
        while (worker := self._free_worker()) is not None and (file := self._next()) is not None:
            self._start(worker, file)
        if self._free_worker() is None:
            self.idle_from_sec = self.now_sec

    def _free_worker(self) -> int | None:
        least = min(range(self.num_workers), key=lambda index: self._running[index])
        return least if self._running[least] < SLOTS_PER_WORKER else None

    def _next(self) -> File | None:
        able = [
            file
            for file in self._open
            if file.num_sent < len(file.chunks) and file.ready_sec(file.num_sent) <= self.now_sec
        ]
        return min(able, key=self.served, default=None)

    def _start(self, worker: int, file: File) -> None:
        audio_sec = file.chunks[file.num_sent]
        file.num_sent += 1
        self._running[worker] += 1
        # Two chunks of a worker share its GPU: each goes at half the speed.
        took_sec = audio_sec / self.times_real_time * self._running[worker]
        self.busy_sec += audio_sec / self.times_real_time
        self._at(self.now_sec + took_sec, lambda: self._end(worker, file))

    def _end(self, worker: int, file: File) -> None:
        self._running[worker] -= 1
        file.num_ended += 1
        if file.num_ended == len(file.chunks):
            file.ended_sec = self.now_sec + ENDING_SEC
            self._at(file.ended_sec, lambda: self._open.remove(file))


def mixed_lengths(num_short: int = 100) -> list[float]:
    """Return lengths from 20 s to 10 h, in seconds, in an order that says nothing."""
    chance = random.Random(SEED)
    short = [chance.uniform(20, 120) for _ in range(num_short)]
    lengths = [10 * 3600.0, *[2 * 3600.0] * 2, *[3600.0] * 5, *[600.0] * 20, *short]
    chance.shuffle(lengths)
    return lengths


def arrangements(lengths: Sequence[float]) -> dict[str, list[float]]:
    """Return the same lengths with the longest in different places."""
    rest = sorted(lengths)[:-1]
    random.Random(SEED).shuffle(rest)
    longest = max(lengths)
    return {"first": [longest, *rest], "last": [*rest, longest], "anywhere": [*lengths]}


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.batch_order", description=__doc__)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--times-real-time", type=float, default=60.0, help="of one GPU")
    parser.add_argument("--files-in-flight", default="4,16")
    given = parser.parse_args()
    header = ("10 h file", "access", "files at a time", "started", "served")
    print(line(*header, "wall s", "workers busy", "idle at the end s", "a file is done after s"))
    print("|---|---|--:|---|---|--:|--:|--:|--:|")
    for where, lengths in arrangements(mixed_lengths()).items():
        for access in ("windowed", "sequential"):
            for in_flight in map(int, given.files_in_flight.split(",")):
                for started, served in PAIRS:
                    files = [
                        File(number, length, access == "sequential")
                        for number, length in enumerate(lengths)
                    ]
                    one = Simulation(
                        files,
                        given.workers,
                        given.times_real_time,
                        in_flight,
                        STARTED[started],
                        SERVED[served],
                    )
                    wall_sec = one.run()
                    mean = sum(file.ended_sec for file in files) / len(files)
                    share = one.busy_sec / (wall_sec * given.workers)
                    idle = wall_sec - one.idle_from_sec
                    row = (where, access, in_flight, started, served, f"{wall_sec:.0f}")
                    print(line(*row, f"{share:.2f}", f"{idle:.0f}", f"{mean:.0f}"))


if __name__ == "__main__":
    main()
