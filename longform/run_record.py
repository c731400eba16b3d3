"""Records of runs: what was transcribed, how it ended and where its files are.

One small JSON file for each run in `home/runs`, written when it starts and when it ends, so that
runs can be listed without a server. They hold no secret: addresses are redacted.
"""

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from longform.errors import LongformError
from longform.media.policy import redact, shown_name
from longform.media.work_lease import process_start, this_machine
from longform.params import FrozenModel
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
    """Keep a record of the run inside the context, however that is left."""
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
