"""The report of a bulk run for people: one line, a table, and the JSON file."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from longform.reprocess.report import OUTCOMES, BatchReport, FileRecord, Outcome
from longform.transcript.output_place import open_place

SEC_PER_HOUR = 3_600.0
MAX_ROWS = 200  # of a table that people look at; the JSON file has them all

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


def headline(report: BatchReport) -> str:
    """Return what happened in one line: failures first, as the run's state says it."""
    if report.dry_run:
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
        f"{hours_of(cost.audio_sec)} of audio, {cost.gpu_sec:.1f} s of the engine, "
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
        "engine": f"{cost.gpu_sec:.1f} s" if cost.num_chunks else "",
        "cached": f"{cost.num_cached_chunks}/{cost.num_chunks}" if cost.num_chunks else "",
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
    place, name = open_place(target), f"reprocess-{moment}Z-{run_id[:8]}.json"
    complete = report.model_copy(update={"address": place.address(name)})
    place.write(name, complete.model_dump_json(indent=1).encode() + b"\n")
    return complete
