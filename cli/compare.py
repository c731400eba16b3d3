"""`longform compare`: two transcripts of one recording, word against word."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from longform.errors import OutputError


def compare(
    before: Annotated[
        Path,
        typer.Argument(metavar="A", help="Transcript or reference: .json, .srt, .vtt or text."),
    ],
    after: Annotated[
        Path, typer.Argument(metavar="B", help="The transcript that is judged by it.")
    ],
    html: Annotated[
        Path | None, typer.Option("--html", help="Write the comparison as an HTML page.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="List at most so many changes; 0: all.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Show how much two transcripts differ, and every change where it is said.

    A is the reference: another run, another model, or a text written by hand.

    Examples:

      longform compare reference.txt transcripts/talk.json

      longform compare base/talk.json large-v3/talk.json --html changes.html
    """
    from longform.compare.alignment import compare as align
    from longform.compare.comparison_report import report_page, report_text
    from longform.compare.reading import read_text

    comparison = align(read_text(before), read_text(after))
    if html is not None:
        try:
            html.write_text(report_page(comparison), encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{html} cannot be written: {error.strerror}") from error
    if not as_json:
        sys.stdout.write(report_text(comparison, limit or None))
        return
    figures = {
        "word_error_rate": comparison.word_error_rate if comparison.num_words else None,
        "character_error_rate": comparison.character_error_rate if comparison.num_words else None,
        "num_words": comparison.num_words,
        "substitutions": comparison.substitutions,
        "deletions": comparison.deletions,
        "insertions": comparison.insertions,
    }
    sys.stdout.write(json.dumps(figures) + "\n")
