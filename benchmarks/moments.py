"""What each process of a long run costs while it goes on, by the part that it plays."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import psutil

LOOK_SEC = 0.5  # between two looks at how far the run is


@dataclass(frozen=True, slots=True)
class Role:
    """A process, and whether what its children take is its own."""

    process: psutil.Process
    with_children: bool = True


@dataclass(frozen=True, slots=True)
class Moment:
    """What a run had used when so many files had ended; by role, in bytes and seconds."""

    num_done: int
    private_bytes: Mapping[str, int]  # USS of the process itself, without its children
    cpu_sec: Mapping[str, float]


class Watch(threading.Thread):
    """Takes a moment each time that `every` more files have ended."""

    def __init__(self, roles: Mapping[str, Role], num_done: Callable[[], int], every: int) -> None:
        super().__init__(daemon=True)
        self._roles = roles
        self._num_done = num_done
        self._every = every
        self._done = threading.Event()
        self.moments: list[Moment] = [self._moment(0)]

    def run(self) -> None:
        """Look until told to stop."""
        following = self._every
        while not self._done.wait(LOOK_SEC):
            if (number := self._num_done()) >= following:
                self.moments.append(self._moment(number))
                following = number - number % self._every + self._every

    def stop(self) -> None:
        """Stop, and wait for the last look."""
        self._done.set()
        self.join()

    def _moment(self, number: int) -> Moment:
        private, cpu = dict[str, int](), dict[str, float]()
        for name, role in self._roles.items():
            try:
                private[name] = int(role.process.memory_full_info().uss)
                cpu[name] = _cpu_sec(role)
            except psutil.Error:  # it has just ended
                continue
        return Moment(number, private, cpu)


def _cpu_sec(role: Role) -> float:
    if role.with_children:
        return _tree_cpu_sec(role.process)
    return float(sum(role.process.cpu_times()[:2]))


def _tree_cpu_sec(process: psutil.Process) -> float:
    """Return the CPU time of a process and its children, also of those that have ended."""
    return float(sum(process.cpu_times()[:4])) + sum(map(_tree_cpu_sec, process.children()))
