"""SIGKILL at a chosen persisted step, without a word of it in the code that is tested.

Python's audit events tell of every file that is made, moved, linked or removed, just before it
happens. The folder of a job says who is to die and when: in `kill-worker-012-05` the worker process
dies before its twelfth step below that folder, once. Nobody dies in `kill-nobody-000`.
"""

import os
import re
import signal
import sys
import threading
from collections import Counter
from pathlib import Path

ROLES = ("flow", "worker")
_JOB = re.compile(r"(?P<base>.*)/kill-(?P<role>[a-z]+)-(?P<step>[0-9]{3})-[a-z0-9]+(?=/|$)")
_CHANGES = {"os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

_steps: Counter[str] = Counter()  # persisted steps of this process, by folder of the job
_lock = threading.RLock()
_watching: set[str] = set()


def watch(role: str) -> None:
    """Count the persisted steps of this process from now on, and die where a folder says so."""
    if not _watching:
        _watching.add(role)
        sys.addaudithook(_hook)


def steps_of(folder: str) -> int:
    """Return how many steps this process has taken below the folder of a job."""
    return _steps[folder]


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    is_change = event in _CHANGES or (event == "open" and _is_writing(arguments))
    if not is_change or not isinstance(arguments[0], (str, os.PathLike)):
        return
    job = _JOB.match(os.fspath(arguments[0]))
    if job is None:
        return
    with _lock:
        _steps[job[0]] += 1
        if job["role"] in _watching and _steps[job[0]] == int(job["step"]):
            _die_once(Path(job["base"]) / f"died-{Path(job[0]).name}")


def _is_writing(arguments: tuple[object, ...]) -> bool:
    flags = arguments[2]
    return isinstance(flags, int) and bool(flags & _WRITING)


def _die_once(marker: Path) -> None:
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
