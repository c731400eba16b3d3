"""What stays on the terminal of a recording."""

import pytest
from rich.console import Console

from cli.run_summary import closing_line, file_lines, status_text
from longform.transcript.output import TranscribeOutput, status_of
from longform.transcript.segment import CoverageKind, Interval
from tests.support.transcripts import output_of, segment_of

SECOND = 16_000


def output(*kinds: CoverageKind) -> TranscribeOutput:
    """Return a transcript of one minute for each kind of coverage."""
    coverage = tuple(
        Interval(start_sample=60 * SECOND * n, end_sample=60 * SECOND * (n + 1), kind=kind)
        for n, kind in enumerate(kinds)
    )
    segments = [segment_of(" so it was", 0, 3_700)]
    return output_of(segments, processing_duration_sec=100.0).model_copy(
        update={
            "coverage": coverage,
            "status": status_of(coverage),
            "damaged_sec": 60.0 * kinds.count("damaged"),
            "files": ("/out/a b.json", "s3://bucket/a.html"),
        }
    )


@pytest.mark.parametrize(
    ("kinds", "status"),
    [
        (("speech",), "complete"),
        (("speech", "damaged"), "complete, 60.0 s of the recording are damaged"),
        (("failed", "damaged"), "incomplete, missing 0:00:00–0:01:00"),
        (
            ("failed",) * 5,
            "incomplete, missing 0:00:00–0:01:00, 0:01:00–0:02:00, 0:02:00–0:03:00 and 2 more",
        ),
    ],
)
def test_what_is_missing_is_said(kinds: tuple[CoverageKind, ...], status: str) -> None:
    """Complete, damaged or incomplete, with the places; a long list is cut."""
    assert status_text(output(*kinds)) == status


def test_one_line_says_how_it_went() -> None:
    """Name, status, length, time, speed, words, languages; of several recordings also a file."""
    line = closing_line(output("speech"), with_file=True).plain
    for part in ("talk.mp3  complete", "1:01:40 of audio in 1:40", "37.0 × real time", "3 words"):
        assert part in line
    assert line.endswith("english  s3://bucket/a.html")


def test_files_are_links() -> None:
    """A terminal that knows links gets the address of the file, any other its path alone."""
    console = Console(force_terminal=True, width=80)
    with console.capture() as captured:
        console.print(*file_lines(output("speech").files), sep="\n")
    assert "file:///out/a%20b.json" in captured.get()
    with (plain := Console(no_color=True, width=80)).capture() as captured:
        plain.print(*file_lines(output("speech").files), sep="\n")
    assert captured.get() == "/out/a b.json\ns3://bucket/a.html\n"
