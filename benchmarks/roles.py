"""CPU seconds and memory by what a process is for: flow, workers, scheduler, server, decoding."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import psutil

SAMPLE_SEC = 0.2
DECODING = "decoding"  # the children of the others: each of them is an ffmpeg

Find = Callable[[], Sequence[psutil.Process]]


@dataclass(frozen=True, slots=True)
class RoleCost:
    """What one role took. CPU in seconds, sizes in bytes (resident, summed over its processes)."""

    cpu_sec: float
    first_bytes: int
    last_bytes: int
    peak_bytes: int


class RoleWatch(threading.Thread):
    """Samples the processes of every role while its context lasts.

    Args:
        roles: how to find the processes of each role; what is found once is not looked for again
            while it lives.
    """

    def __init__(self, roles: Mapping[str, Find]) -> None:
        super().__init__(daemon=True)
        self._roles = roles
        self._done = threading.Event()
        self._begun: dict[tuple[str, int], tuple[float, float]] = {}
        self._now: dict[tuple[str, int], tuple[float, float]] = {}
        self._bytes: dict[str, list[int]] = {role: [] for role in roles}

    def __enter__(self) -> Self:
        self._sample(is_first=True)
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._done.set()
        self.join()
        self._sample()

    def run(self) -> None:
        """Sample until the context is left."""
        while not self._done.wait(SAMPLE_SEC):
            self._sample()

    def costs(self) -> dict[str, RoleCost]:
        """Return what each role has taken, and what its children have as `DECODING`."""
        own = dict.fromkeys(self._roles, 0.0)
        children = 0.0
        for place, (cpu_sec, children_sec) in self._now.items():
            before = self._begun.get(place, (0.0, 0.0))
            own[place[0]] += cpu_sec - before[0]
            children += children_sec - before[1]
        found = {
            role: RoleCost(own[role], sizes[0], sizes[-1], max(sizes))
            for role, sizes in self._bytes.items()
            if sizes
        }
        return found | {DECODING: RoleCost(children, 0, 0, 0)}

    def _sample(self, *, is_first: bool = False) -> None:
        for role, find in self._roles.items():
            total = 0
            for process in find():
                try:
                    times = process.cpu_times()
                    total += process.memory_info().rss
                except psutil.Error:  # it has just ended
                    continue
                place = (role, process.pid)
                self._now[place] = (
                    times.user + times.system,
                    times.children_user + times.children_system,
                )
                if is_first:
                    self._begun[place] = self._now[place]
            if total:
                self._bytes[role].append(total)
