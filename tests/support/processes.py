"""Whether processes have ended."""

from contextlib import suppress

import psutil


def lives(process: psutil.Process) -> bool:
    """Return whether a process runs; one that its parent has yet to bury does not.

    The parent of an orphan is the first process of the machine, and that of a container may
    never look after those.
    """
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
