"""What stays on the terminal of a recording: how it ended, in figures, and where its files are."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from cli.run_view import minutes
from longform.audio import clock

if TYPE_CHECKING:
    from longform.runs.history import RunFigures
    from longform.transcript.output import TranscribeOutput

MARKS = {
    "complete": ("✔", "green"),
    "complete_with_damage": ("!", "yellow"),
    "incomplete": ("✘", "red"),
}
MAX_GAPS = 3


def closing_line(output: "TranscribeOutput", *, with_file: bool = False) -> Text:
    """Return the run in one line: which recording, how it ended, how long, how fast."""
    from longform.runs.history import run_figures

    mark, colour = MARKS[output.status]
    line = Text.assemble(
        (f"{mark} ", colour),
        (output.provenance.source_name, "bold"),
        (f"  {status_text(output)}", colour),
        f"  {figures_text(run_figures(output))}",
    )
    # The page is the last of the usual formats, and the one that people open.
    return line.append("  ").append_text(file_lines(output.files)[-1]) if with_file else line


def status_text(output: "TranscribeOutput") -> str:
    """Return how complete a transcript is, and what of it is not there."""
    if output.status == "complete_with_damage":
        return f"complete, {output.damaged_sec:.1f} s of the recording are damaged"
    if output.status != "incomplete":
        return "complete"
    gaps = [
        f"{clock(part.start_sample)}–{clock(part.end_sample)}"
        for part in output.coverage
        if part.kind == "failed"
    ]
    more = f" and {len(gaps) - MAX_GAPS} more" if len(gaps) > MAX_GAPS else ""
    return f"incomplete, missing {', '.join(gaps[:MAX_GAPS])}{more}"


def figures_text(figures: "RunFigures") -> str:
    """Return duration, speed, words and languages."""
    parts = [
        f"{minutes(figures.duration_sec)} of audio in {minutes(figures.processing_sec)}",
        f"{figures.speed:.1f} × real time",
        f"{figures.num_words:,} words",
    ]
    return " · ".join(parts + ([", ".join(figures.languages)] if figures.languages else []))


def file_lines(files: Sequence[str]) -> list[Text]:
    """Return the addresses of files; a terminal that can opens them at a click."""
    return [Text(file, style=f"link {link_of(file)}") for file in files]


def run_line(run_url: str) -> Text:
    """Return where the run can be looked at."""
    return Text.assemble("  look at the run: ", (run_url, f"link {run_url}"))


def link_of(file: str) -> str:
    """Return the address behind which a terminal finds a file."""
    return file if "://" in file else Path(file).as_uri()
