"""Notes of which process carries out which run, so that runs of dead processes can be found.

One file per run, on the machine that carries it out; removed when the run ends. A process that
is killed leaves its note, and whoever looks next on that machine finds the process gone.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import ValidationError

from longform.media.work_lease import process_start, this_machine
from longform.params import FrozenModel


class RunNote(FrozenModel):
    """The process of one run."""

    run_id: str
    machine: str
    pid: int
    process_start: str

    @property
    def is_dead(self) -> bool:
        """Whether the process is gone: it ended, or the machine was started anew."""
        if self.machine == this_machine():
            return process_start(self.pid) != self.process_start
        host, boot, *_ = self.machine.split(" ")
        this_host, this_boot, *_ = this_machine().split(" ")
        return host == this_host and boot != this_boot


@contextmanager
def noted(home: Path, run_id: str) -> Iterator[None]:
    """Keep a note of this process while it carries out a run."""
    path = _folder(home) / f"{run_id}.json"
    note = RunNote(
        run_id=run_id,
        machine=this_machine(),
        pid=os.getpid(),
        process_start=process_start(os.getpid()) or "",
    )
    with suppress(OSError):  # a run does not fail for want of a note
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(note.model_dump_json())
        partial.replace(path)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()


def dead_runs(home: Path) -> list[str]:
    """Return the runs whose processes are gone, by their ids."""
    found = []
    for path in sorted(_folder(home).glob("*.json")):
        try:
            note = RunNote.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            continue
        if note.is_dead:
            found.append(note.run_id)
    return found


def forget_run(home: Path, run_id: str) -> None:
    """Remove the note of a run."""
    with suppress(OSError):
        (_folder(home) / f"{run_id}.json").unlink()


def _folder(home: Path) -> Path:
    return home.absolute() / "runs"
