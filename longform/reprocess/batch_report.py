"""The report of a bulk run: what became of each file, why, and what it cost.

It is written as JSON. For people there are two lines, `headline` and `totals`, and a table.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from longform.params import FrozenModel
from longform.reprocess.request import Select
from longform.storage.folder import open_folder

Outcome = Literal[
    "transcribed", "damaged", "incomplete", "failed", "would_transcribe", "skipped", "not_reached"
]

SEC_PER_HOUR = 3_600.0
MAX_ROWS = 200  # of a table that people look at; the JSON file has them all

# In the order in which people want to read them.
OUTCOMES: tuple[Outcome, ...] = (
    "failed",
    "incomplete",
    "not_reached",
    "damaged",
    "transcribed",
    "would_transcribe",
    "skipped",
)
FAILURES = frozenset({"failed", "incomplete"})
WORDS: Mapping[Outcome, str] = MappingProxyType(
    {
        "failed": "failed",
        "incomplete": "incomplete",
        "not_reached": "not reached",
        "damaged": "transcribed, damaged",
        "transcribed": "transcribed",
        "would_transcribe": "would be transcribed",
        "skipped": "skipped",
    }
)


class Cost(FrozenModel):
    """What a file, or all of them, took. `gpu_sec` is the time in which the engine worked."""

    audio_sec: float = 0.0
    gpu_sec: float = 0.0
    num_chunks: int = 0
    num_cached_chunks: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            audio_sec=self.audio_sec + other.audio_sec,
            gpu_sec=self.gpu_sec + other.gpu_sec,
            num_chunks=self.num_chunks + other.num_chunks,
            num_cached_chunks=self.num_cached_chunks + other.num_cached_chunks,
        )


class TextChange(FrozenModel):
    """How a new transcript differs from the one that it replaced, counted in words.

    `word_error_rate` takes the old text as the reference; None where that was empty.
    """

    word_error_rate: float | None
    num_words_before: int
    num_replaced: int
    num_removed: int
    num_added: int
    page: str | None = None  # the comparison, where one was asked for


class FileRecord(FrozenModel):
    """What became of one file. `source` and `place` never carry a secret.

    `place` is where its transcript lies or would lie, without a suffix; `known_sec` is how long
    it is, where that was known without opening it.
    """

    number: int  # from 1, in the order of the lists
    source: str
    place: str = ""
    outcome: Outcome
    reason: str
    error: str | None = None  # the kind of error, as in longform.errors
    known_sec: float | None = None
    cost: Cost = Cost()
    processing_sec: float = 0.0
    files: tuple[str, ...] = ()
    change: TextChange | None = None


class BatchReport(FrozenModel):
    """The report of a bulk run; `files` are in the order of the lists."""

    select: Select
    dry_run: bool
    files: tuple[FileRecord, ...]
    cost: Cost
    started_at: str  # ISO 8601, UTC
    duration_sec: float
    run_url: str = ""
    stopped: str = ""  # why the run ended before its files did
    address: str = ""  # of this report as a JSON file

    def count(self, *outcomes: Outcome) -> int:
        """Return how many files came to one of these outcomes."""
        return sum(record.outcome in outcomes for record in self.files)

    @property
    def num_failed(self) -> int:
        """Files without a whole transcript, though one was tried."""
        return self.count("failed", "incomplete")

    @property
    def num_tried(self) -> int:
        """Files that a transcript was tried of."""
        return self.num_failed + self.count("transcribed", "damaged")


def headline(report: BatchReport) -> str:
    """Return what happened in one line: failures first, as the run's state says it."""
    if report.dry_run:
        if not report.count("would_transcribe"):
            return f"nothing to do: {_counts(report)}"
        chosen = [each for each in report.files if each.outcome == "would_transcribe"]
        known = [each.known_sec for each in chosen if each.known_sec is not None]
        hours = f"{hours_of(sum(known))} of audio" if known else "of unknown length"
        unknown = len(chosen) - len(known)
        more = f", {unknown} more of unknown length" if known and unknown else ""
        return f"{len(chosen)} of {len(report.files)} files would be transcribed: {hours}{more}"
    if report.num_tried == 0:
        return f"nothing to do: {_counts(report) or 'no files'}"
    failed = f"{report.num_failed} of {report.num_tried} files failed"
    done = f"{report.num_tried} file{'' if report.num_tried == 1 else 's'} transcribed"
    return f"{failed if report.num_failed else done} ({_counts(report)})"


def _counts(report: BatchReport) -> str:
    counted = ((outcome, report.count(outcome)) for outcome in OUTCOMES)
    return ", ".join(f"{count} {WORDS[outcome]}" for outcome, count in counted if count)


def totals(report: BatchReport) -> str:
    """Return what it cost in one line."""
    cost = report.cost
    return (
        f"{hours_of(cost.audio_sec)} of audio, {cost.gpu_sec:.1f} GPU seconds, "
        f"{cost.num_cached_chunks} of {cost.num_chunks} chunks from the cache"
    )


def ranked(files: Sequence[FileRecord]) -> list[FileRecord]:
    """Return the records in the order in which people want them: failures first."""
    return sorted(files, key=lambda each: (OUTCOMES.index(each.outcome), each.number))


def table(report: BatchReport, max_rows: int = MAX_ROWS) -> list[dict[str, str]]:
    """Return the files as rows for people, failures first; the last row tells of a cut."""
    files = ranked(report.files)
    rows = [_row(record) for record in files[:max_rows]]
    if len(files) > max_rows:
        rows.append({"file": f"… and {len(files) - max_rows} more: {report.address}"})
    return rows


def _row(record: FileRecord) -> dict[str, str]:
    cost = record.cost
    seconds = cost.audio_sec or record.known_sec
    return {
        "file": record.source,
        "outcome": WORDS[record.outcome],
        "reason": record.reason,
        "audio": hours_of(seconds) if seconds else "",
        "GPU seconds": f"{cost.gpu_sec:.1f}" if cost.num_chunks else "",
        "cache hits": f"{cost.num_cached_chunks}/{cost.num_chunks}" if cost.num_chunks else "",
        "changed": _changed(record),
    }


def _changed(record: FileRecord) -> str:
    change = record.change
    if change is None:
        return ""
    words = change.num_replaced + change.num_removed + change.num_added
    rate = change.word_error_rate
    share = "" if rate is None else f" ({100 * rate:.1f} %)"
    return f"{words} words{share}" if words else "no words"


def hours_of(seconds: float) -> str:
    """Return a duration as hours, with two digits."""
    return f"{seconds / SEC_PER_HOUR:.2f} h"


def write_report(report: BatchReport, target: str, run_id: str) -> BatchReport:
    """Write the report as JSON beside the transcripts; return it with its address.

    Raises:
        OutputError: it cannot be written.
    """
    moment = report.started_at.partition("+")[0].replace("-", "").replace(":", "")
    folder, name = open_folder(target), f"reprocess-{moment}Z-{run_id[:8]}.json"
    complete = report.model_copy(update={"address": folder.address(name)})
    folder.write(name, complete.model_dump_json(indent=1).encode() + b"\n")
    return complete
