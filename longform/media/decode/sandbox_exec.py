"""Run as a script: set limits on this process, tie its life to its parent's, become a program.

A step of its own between fork and the program, because nothing may run between fork and exec
in a process with threads, and because limits set from outside come too late to count.
It costs 15 ms. The standard library only: it runs isolated (`python -I -S`).

Arguments: the parent's process id, bytes of address space, seconds of CPU (0: no limit), and
the program with its arguments.
"""

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h
NOT_STARTED = 126  # what shells return for a program that cannot be executed


def main(parent: int, memory_bytes: int, cpu_sec: int, command: list[str]) -> None:
    """Become `command`; returns only where that is not possible."""
    if sys.platform == "linux":
        # The signal comes when the thread that forked ends: that is the event loop's.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the signal was asked for
            return
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if cpu_sec:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_sec, cpu_sec))
    os.execv(command[0], command)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), sys.argv[4:])  # type: ignore[call-arg,arg-type]
    sys.exit(NOT_STARTED)
