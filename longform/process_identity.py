"""."""

import socket
from functools import cache
from pathlib import Path

import psutil


@cache
def this_machine() -> str:
    """Return what tells apart the places in which a process id means something.

    Containers share a kernel and may share a host name; they differ in their namespace.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # not Linux
        boot, namespace = f"{psutil.boot_time():.0f}", ""
    return f"{socket.gethostname()} {boot} {namespace}"


def process_start(pid: int) -> str | None:
    """Return what tells a process from a later one with its id; None where it has ended."""
    try:
        # Ticks since the boot: psutil's time moves when the clock is set.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    except OSError:
        if Path("/proc/self").exists():
            return None
    try:
        return f"{psutil.Process(pid).create_time():.0f}"
    except psutil.Error:
        return None
