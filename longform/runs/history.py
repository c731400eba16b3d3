"""Records of runs: what was transcribed, how it ended and where its files are.

One small JSON file for each run in `home/runs`, written when it starts and when it ends, so that
runs can be listed without a server. They hold no secret: addresses are redacted.
"""

import asyncio
import os
import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from longform.errors import LongformError
from longform.net.policy import redact, shown_name
from longform.params import FrozenModel
from longform.process_identity import process_start, this_machine
from longform.transcript.output import ShownText, TranscribeOutput

RunState = Literal[
    "running", "complete", "complete_with_damage", "incomplete", "failed", "stopped", "killed"
]
DRAFT = ".tmp"  # what a process writes before it takes the place of the record
MAX_RECORDS = 1_000  # the oldest go first; some 2 KB each


class RunFigures(FrozenModel):
    """What a transcript amounts to."""

    duration_sec: float
    processing_sec: float
    speed: float
    num_segments: int
    num_words: int
    languages: tuple[str, ...]  # the most spoken first
    damaged_sec: float
    failed_sec: float


class RunRecord(FrozenModel):
    """One run. `started_at_unix_sec` and `ended_at_unix_sec` are Unix time in seconds."""

    run_id: str
    flow: str
    source_name: ShownText
    source_address: ShownText
    state: RunState
    started_at_unix_sec: float
    ended_at_unix_sec: float | None = None
    figures: RunFigures | None = None
    files: tuple[str, ...] = ()
    error: str = ""
    run_url: str = ""
    machine: str
    pid: int
    process_start: str

    def as_it_is(self) -> "RunRecord":
        """Return the record; a run whose process has gone without a word was killed."""
        is_here = self.state == "running" and self.machine == this_machine()
        if is_here and process_start(self.pid) != self.process_start:
            return self.model_copy(update={"state": "killed"})
        return self


class RunRecorder:
    """Keeps the record of one run up to date; a home that cannot be written fails no run."""

    def __init__(self, home: Path, record: RunRecord) -> None:
        self._folder = records_folder(home)
        self.record = record

    def finish(self, output: TranscribeOutput) -> None:
        """Note what has been written and what it amounts to."""
        self.update(
            state=output.status,
            figures=run_figures(output),
            files=output.files,
            ended_at_unix_sec=time.time(),
        )

    def update(self, **changes: object) -> None:
        """Change fields of the record, and write it."""
        self.record = self.record.model_copy(update=changes)
        path = self._folder / f"{int(self.record.started_at_unix_sec):012d}-{self.record.run_id}"
        draft = path.with_suffix(f".{os.getpid()}{DRAFT}")
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            draft.write_text(self.record.model_dump_json())
            draft.replace(path.with_suffix(".json"))


@asynccontextmanager
async def recorded_run(
    home: Path, run_id: str, flow: str, media_url: str, run_url: str
) -> AsyncIterator[RunRecorder]:
    """Keep a record of the run inside the context, however that is left.

    What goes wrong once the record says how the run has ended does not change it.
    """
    recorder = RunRecorder(
        home,
        RunRecord(
            run_id=run_id,
            flow=flow,
            source_name=shown_name(media_url),
            source_address=redact(media_url),
            state="running",
            started_at_unix_sec=time.time(),
            run_url=run_url,
            machine=this_machine(),
            pid=os.getpid(),
            process_start=process_start(os.getpid()) or "",
        ),
    )
    recorder.update()
    try:
        _prune(records_folder(home))
        yield recorder
    except BaseException as error:
        stopped = isinstance(error, asyncio.CancelledError | KeyboardInterrupt | SystemExit)
        reason = str(error) if isinstance(error, LongformError) else type(error).__name__
        if recorder.record.state == "running":
            recorder.update(
                state="stopped" if stopped else "failed",
                error="" if stopped else reason,
                ended_at_unix_sec=time.time(),
            )
        raise


def run_figures(output: TranscribeOutput) -> RunFigures:
    """Return what a transcript amounts to."""
    spoken_sec: defaultdict[str, float] = defaultdict(float)
    for segment in output.segments:
        spoken_sec[segment.language] += segment.end_time_sec - segment.start_time_sec
    timed = sum(len(segment.words) for segment in output.segments)
    return RunFigures(
        duration_sec=output.input_duration_sec,
        processing_sec=output.processing_duration_sec,
        speed=output.speedup,
        num_segments=len(output.segments),
        num_words=timed or len(output.text.split()),
        languages=tuple(sorted(spoken_sec, key=lambda name: -spoken_sec[name])),
        damaged_sec=output.damaged_sec,
        failed_sec=output.failed_sec,
    )


def read_records(home: Path) -> list[RunRecord]:
    """Return the records that can be read, the newest first."""
    records = []
    for path in sorted(records_folder(home).glob("*.json"), reverse=True):
        # Of another version, or being replaced: a list of runs must not fail for one of them.
        with suppress(OSError, ValidationError):
            records.append(RunRecord.model_validate_json(path.read_bytes()).as_it_is())
    return records


def records_folder(home: Path) -> Path:
    """Return where records lie."""
    return home.absolute() / "runs"


def _prune(folder: Path) -> None:
    """Remove the oldest records, and what processes were writing when they were killed."""
    for path in (*sorted(folder.glob("*.json"))[:-MAX_RECORDS], *_left_drafts(folder)):
        with suppress(OSError):
            path.unlink()


def _left_drafts(folder: Path) -> Iterator[Path]:
    for path in folder.glob(f"*{DRAFT}"):
        pid = path.stem.rpartition(".")[2]
        if pid.isdecimal() and process_start(int(pid)) is None:
            yield path


# Notes of which process carries out which run, so that runs of dead processes can be found.
#
# One empty file per run, on the machine that carries it out; its name says everything, so that it
# is there whole or not at all. It is removed when the run ends. A process that is killed leaves its
# note, and the next run on that machine finds the process gone.


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
