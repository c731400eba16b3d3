"""What a command costs with all the processes that it starts: wall time, CPU time, memory."""

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

SAMPLE_SEC = 0.5  # reading the memory maps of a process costs milliseconds
KIB = 1024


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one command; memory in bytes, a shared page counted once in the total."""

    exit_code: int
    wall_sec: float
    cpu_sec: float  # user and system, of the whole tree and of the server
    server_cpu_sec: float  # the part of it that the server took
    peak_process_bytes: int  # largest resident size of any one process
    peak_total_bytes: int  # largest sum of proportional sizes (PSS), sampled
    num_processes: int  # how many were seen


class _Sampler(threading.Thread):
    """Watches the descendants of a process until it is told to stop."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self._root = root
        self._done = threading.Event()
        self.cpu_sec: dict[tuple[int, float], float] = {}
        self.peak_rss_bytes: dict[int, int] = {}
        self.peak_total_bytes = 0

    def run(self) -> None:
        while not self._done.wait(SAMPLE_SEC):
            self._sample()

    def stop(self) -> None:
        """Stop sampling and wait for the last sample."""
        self._done.set()
        self.join()

    def _sample(self) -> None:
        try:
            root = psutil.Process(self._root)
            tree = [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        total = sum(self._sample_one(process) for process in tree)
        self.peak_total_bytes = max(self.peak_total_bytes, total)

    def _sample_one(self, process: psutil.Process) -> int:
        try:
            times = process.cpu_times()
            self.cpu_sec[process.pid, process.create_time()] = times.user + times.system
            memory = process.memory_full_info()
        except psutil.Error:  # it has just ended
            return 0
        known = self.peak_rss_bytes.get(process.pid, 0)
        self.peak_rss_bytes[process.pid] = max(known, memory.rss)
        return int(memory.pss)


def measure(
    command: Sequence[str], *, environment: Mapping[str, str], server_state: Path, log: Path
) -> Cost:
    """Run `command` to its end and return its cost.

    Args:
        command: the program and its arguments.
        environment: all of its environment variables.
        server_state: the file in which a background server of its own is noted; that server
            is nobody's child, so its CPU time is read apart, from before to after.
        log: where the command's output goes.
    """
    before = _server_cpu_sec(server_state)
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        sampler = _Sampler(process.pid)
        sampler.start()
        # wait4 gives what the tree has used exactly, short-lived processes included.
        _, status, usage = os.wait4(process.pid, 0)
    wall_sec = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    sampler.stop()
    after = _server_cpu_sec(server_state)
    server_pid = after[0]
    server_cpu_sec = after[1] - (before[1] if before[0] == server_pid else 0.0)
    sampled = sum(cpu for (pid, _), cpu in sampler.cpu_sec.items() if pid != server_pid)
    sizes = [size for pid, size in sampler.peak_rss_bytes.items()]
    return Cost(
        exit_code=process.returncode,
        wall_sec=wall_sec,
        # A process that nobody waited for is missing from the one, a short-lived from the other.
        cpu_sec=max(usage.ru_utime + usage.ru_stime, sampled) + server_cpu_sec,
        server_cpu_sec=server_cpu_sec,
        peak_process_bytes=max([usage.ru_maxrss * KIB, *sizes]),
        peak_total_bytes=sampler.peak_total_bytes,
        num_processes=len(sampler.cpu_sec),
    )


def _server_cpu_sec(state_file: Path) -> tuple[int | None, float]:
    from infra.prefect_server import read_state

    state = read_state(state_file.parent)
    process = state.process() if state else None
    if process is None:
        return None, 0.0
    times = process.cpu_times()
    return process.pid, times.user + times.system
