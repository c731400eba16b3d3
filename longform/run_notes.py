"""Notes of which process carries out which run, so that runs of dead processes can be found.

One empty file per run, on the machine that carries it out; its name says everything, so that it
is there whole or not at all. It is removed when the run ends. A process that is killed leaves its
note, and whoever looks next on that machine finds the process gone.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from longform.media.work_lease import process_start, this_machine

_NOTE = re.compile(
    r"(?P<run>[0-9a-f-]{36})\.(?P<host>[0-9a-f]{16})\.(?P<boot>[0-9a-f]{16})"
    r"\.(?P<pid>[0-9]+)\.(?P<start>[0-9]+)"
)


@contextmanager
def noted(home: Path, run_id: str) -> Iterator[None]:
    """Keep a note of this process while it carries out a run (a UUID)."""
    host, boot = _machine()
    start = process_start(os.getpid()) or 0
    note = _folder(home) / f"{run_id}.{host}.{boot}.{os.getpid()}.{start}"
    with suppress(OSError):  # a run does not fail for want of a note
        note.parent.mkdir(parents=True, exist_ok=True)
        note.touch()
    try:
        yield
    finally:
        with suppress(OSError):
            note.unlink()


def dead_runs(home: Path) -> list[str]:
    """Return the runs of this machine whose processes are gone, by their ids."""
    notes = (_NOTE.fullmatch(path.name) for path in sorted(_folder(home).glob("*")))
    return [note["run"] for note in notes if note is not None and _is_dead(note)]


def forget_run(home: Path, run_id: str) -> None:
    """Remove the notes of a run."""
    for path in _folder(home).glob(f"{run_id}.*"):
        with suppress(OSError):
            path.unlink()


def _is_dead(note: re.Match[str]) -> bool:
    """Tell whether a process has ended, or its machine was started anew since."""
    host, boot = _machine()
    if note["host"] != host:
        return False  # of a machine that shares the folder
    return note["boot"] != boot or process_start(int(note["pid"])) != note["start"]


def _machine() -> tuple[str, str]:
    host, _, rest = this_machine().partition(" ")
    return _digest(host), _digest(rest.split(" ")[0])


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


def _folder(home: Path) -> Path:
    return home.absolute() / "running"
