"""The report for people and for machines."""

from pathlib import Path

import pytest

from longform.reprocess.batch_report import (
    MAX_ROWS,
    BatchReport,
    Cost,
    FileRecord,
    Outcome,
    TextChange,
    headline,
    table,
    totals,
    write_report,
)


def record(number: int, outcome: Outcome, **fields: object) -> FileRecord:
    """Return the record of a file."""
    return FileRecord.model_validate(
        {"number": number, "source": f"{number}.mp3", "outcome": outcome, "reason": "why"} | fields
    )


def report(*files: FileRecord, dry_run: bool = False) -> BatchReport:
    """Return a report of files."""
    return BatchReport(
        select="missing",
        dry_run=dry_run,
        files=files,
        cost=sum((each.cost for each in files), Cost()),
        started_at="2026-01-02T03:04:05+00:00",
        duration_sec=1.0,
    )


@pytest.mark.parametrize(
    ("outcomes", "line"),
    [
        (["transcribed"] * 2, "2 files transcribed (2 transcribed)"),
        (
            ["transcribed"] * 27 + ["failed"] * 2 + ["incomplete"],
            "3 of 30 files failed (2 failed, 1 incomplete, 27 transcribed)",
        ),
        (["skipped", "damaged"], "1 file transcribed (1 transcribed, damaged, 1 skipped)"),
        (["skipped", "skipped"], "nothing to do: 2 skipped"),
        (["failed"], "1 of 1 files failed (1 failed)"),
    ],
)
def test_the_headline_counts_failures_among_those_tried(outcomes: list[Outcome], line: str) -> None:
    """Files that were skipped are not among them."""
    assert headline(report(*(record(n, each) for n, each in enumerate(outcomes, 1)))) == line


def test_a_dry_run_tells_the_hours_that_are_known() -> None:
    """And how many files there are of which nothing is known."""
    files = (
        record(1, "would_transcribe", known_sec=5_400.0),
        record(2, "would_transcribe"),
        record(3, "skipped", known_sec=3_600.0),
    )
    assert headline(report(*files, dry_run=True)) == (
        "2 of 3 files would be transcribed: 1.50 h of audio, 1 more of unknown length"
    )


def test_a_long_table_shows_failures_first_and_says_what_it_leaves_out() -> None:
    """At most so many rows, and where the rest is."""
    files = [record(n, "transcribed") for n in range(1, 1_001)]
    files[997] = record(998, "failed")
    rows = table(report(*files).model_copy(update={"address": "/out/report.json"}))
    assert len(rows) == MAX_ROWS + 1
    assert (rows[0]["file"], rows[0]["outcome"], rows[0]["reason"]) == ("998.mp3", "failed", "why")
    assert rows[-1]["file"] == "… and 800 more: /out/report.json"


def test_what_a_row_says() -> None:
    """Hours, seconds of the engine, the cache, and how much of the text changed."""
    change = TextChange(
        word_error_rate=0.25, num_words_before=40, num_replaced=7, num_removed=1, num_added=2
    )
    cost = Cost(audio_sec=1_800.0, gpu_sec=12.34, num_chunks=6, num_cached_chunks=4)
    [row] = table(report(record(1, "transcribed", cost=cost, change=change)))
    assert (row["audio"], row["GPU seconds"], row["cache hits"]) == ("0.50 h", "12.3", "4/6")
    assert row["changed"] == "10 words (25.0 %)"
    assert totals(report(record(1, "transcribed", cost=cost), record(2, "failed"))) == (
        "0.50 h of audio, 12.3 GPU seconds, 4 of 6 chunks from the cache"
    )


def test_the_file_holds_the_whole_report(tmp_path: Path) -> None:
    """It can be read back, and its name says when and by which run."""
    written = write_report(report(record(1, "failed")), str(tmp_path), "0123456789")
    path = tmp_path / "reprocess-20260102T030405Z-01234567.json"
    assert written.address == str(path)
    assert BatchReport.model_validate_json(path.read_bytes()) == written
