"""Which process something belongs to, and whether that process still runs."""

import os
import socket
from functools import cache
from pathlib import Path
from typing import Self

import psutil
from pydantic import BaseModel, ConfigDict


class ProcessIdentity(BaseModel):
    """One process of one machine, told from a later one with the same id.

    Records that belong to a process inherit these fields, so that they lie flat in their JSON.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    machine: str  # host, boot and process namespace: where a pid means this process
    pid: int
    process_start: str

    @classmethod
    def of_this_process(cls, **fields: object) -> Self:
        """Return a record that belongs to this process."""
        return cls.of_process(os.getpid(), **fields)

    @classmethod
    def of_process(cls, pid: int, **fields: object) -> Self:
        """Return a record that belongs to a process of this machine."""
        own = {
            "machine": this_machine(),
            "pid": pid,
            "process_start": process_start(pid) or "",
        }
        return cls.model_validate(own | fields)

    @property
    def is_here(self) -> bool:
        """Whether the process is of this machine, where it can be looked for."""
        return self.machine == this_machine()

    @property
    def is_gone(self) -> bool:
        """Whether the process is known to have ended; never known of another machine's."""
        return self.is_here and process_start(self.pid) != self.process_start

    @property
    def is_of_earlier_boot(self) -> bool:
        """Whether a host of that name was started anew since; two of one name look alike."""
        (host, _, rest), (here, _, now) = (
            name.partition(" ") for name in (self.machine, this_machine())
        )
        return host == here and rest.partition(" ")[0] != now.partition(" ")[0]


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
