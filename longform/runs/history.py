"""Records of runs: what was transcribed, how it ended and where its files are.

One small JSON file for each run in `home/runs`, written before anything else and when the run
ends, so that runs can be listed without a server, and those of killed processes are found. They
hold no secret: addresses are redacted.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from longform.errors import LongformError, OutputError
from longform.net.policy import redact, shown_name
from longform.params import FrozenModel
from longform.process_identity import ProcessIdentity
from longform.storage.local_folder import LocalFolder
from longform.storage.temp_files import is_left_behind
from longform.transcript.output import ShownText, TranscribeOutput

RunState = Literal[
    "running", "complete", "complete_with_damage", "incomplete", "failed", "stopped", "killed"
]
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


class RunRecord(ProcessIdentity):
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

    @property
    def file_name(self) -> str:
        """Name of its file; names of later runs come later in order."""
        return f"{int(self.started_at_unix_sec):012d}-{self.run_id}.json"

    def as_it_is(self) -> "RunRecord":
        """Return the record; a run whose process has gone without a word was killed."""
        if self.state == "running" and (self.is_gone or self.is_of_earlier_boot):
            return self.model_copy(update={"state": "killed"})
        return self


class RunRecorder:
    """Keeps the record of one run up to date; a home that cannot be written fails no run."""

    def __init__(self, home: Path, record: RunRecord) -> None:
        self._home = home
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
        with suppress(OutputError):
            write_record(self._home, self.record)


@asynccontextmanager
async def recorded_run(
    home: Path, run_id: str, flow: str, media_url: str, run_url: str
) -> AsyncIterator[RunRecorder]:
    """Keep a record of the run inside the context, however that is left.

    What goes wrong once the record says how the run has ended does not change it.
    """
    recorder = RunRecorder(
        home,
        RunRecord.of_this_process(
            run_id=run_id,
            flow=flow,
            source_name=shown_name(media_url),
            source_address=redact(media_url),
            state="running",
            started_at_unix_sec=time.time(),
            run_url=run_url,
        ),
    )
    recorder.update()
    try:
        _prune(home)
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
    return [record.as_it_is() for record in _stored(home)]


def dead_runs(home: Path) -> list[str]:
    """Return the ids of runs that are said to run, and whose process on this machine is gone."""
    return [
        record.run_id
        for record in _stored(home)
        if record.state == "running" and record.as_it_is().state == "killed"
    ]


def bury_run(home: Path, run_id: str) -> None:
    """Write into the record of a dead run that it was killed, so that it is found no more."""
    for path in records_folder(home).glob(f"*-{run_id}.json"):
        if (record := _read(path)) is not None:
            with suppress(OutputError):
                write_record(home, record.as_it_is())


def write_record(home: Path, record: RunRecord) -> None:
    """Write the record of a run, in the place of an older one.

    Raises:
        OutputError: the home cannot be written.
    """
    content = record.model_dump_json().encode()
    LocalFolder(records_folder(home)).write(record.file_name, content)


def records_folder(home: Path) -> Path:
    """Return where records lie."""
    return home.absolute() / "runs"


def _stored(home: Path) -> Iterator[RunRecord]:
    """Yield the records as they were written, the newest first."""
    for path in _paths(home):
        if (record := _read(path)) is not None:
            yield record


def _paths(home: Path) -> list[Path]:
    return sorted(records_folder(home).glob("*.json"), reverse=True)


def _read(path: Path) -> RunRecord | None:
    # Of another version, or being replaced: a list of runs must not fail for one of them.
    with suppress(OSError, ValidationError):
        return RunRecord.model_validate_json(path.read_bytes())
    return None


def _prune(home: Path) -> None:
    """Remove the oldest records, but for those of runs that go on, and what kills left half."""
    for path in records_folder(home).glob(".longform-*.tmp"):
        if is_left_behind(path.name):
            with suppress(OSError):
                path.unlink()
    for path in _paths(home)[MAX_RECORDS:]:
        record = _read(path)
        if record is None or record.as_it_is().state != "running":
            with suppress(OSError):
                path.unlink()
