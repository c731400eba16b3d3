"""`longform show`: the transcript of a run, or of a file, on the terminal or in the browser."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from cli.completion import one_format, run_ids
from cli.run_list import LAST, ListedRun, find_run, merge
from cli.run_summary import closing_line, figures_text, link_of
from longform.errors import ParameterError
from longform.settings import Settings

if TYPE_CHECKING:
    from longform.transcript.transcript_files import WrittenTranscript


def show(
    run: Annotated[
        str,
        typer.Argument(
            metavar="[RUN]",
            help="Id of a run or its beginning, a file of a transcript, or last.",
            autocompletion=run_ids,
        ),
    ] = LAST,
    output_format: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            help="txt, srt, vtt, tsv, json, html or diarized_json.",
            autocompletion=one_format,
        ),
    ] = "txt",
    open_page: Annotated[
        bool, typer.Option("--open", help="Open the HTML page in the browser instead.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the JSON file: the same as --format json.")
    ] = False,
) -> None:
    """Print a transcript: that of the last run, of another run, or of a file.

    The text goes to stdout; a head with figures goes to stderr, where that is a terminal.

    Examples:

      longform show

      longform show 3f3a691e --format srt > talk.srt

      longform show transcripts/talk.json --open
    """
    from longform.transcript.formats import FORMATS

    name = "json" if as_json else output_format.lower()
    if name not in FORMATS:
        raise ParameterError(f"--format: no format {name!r}; there are {', '.join(FORMATS)}")
    transcript, found = resolve(run)
    if open_page:
        open_in_browser(transcript)
        return
    text = transcript.text(name)
    if name == "txt" and sys.stderr.isatty():
        Console(stderr=True, highlight=False).print(*head(transcript, found), "", sep="\n")
    sys.stdout.write(text)


def resolve(wanted: str) -> "tuple[WrittenTranscript, ListedRun | None]":
    """Return the transcript that is meant, and its run where it is that of a run.

    Raises:
        ParameterError: there is none, or the run wrote no files.
    """
    from longform.runs.history import read_records
    from longform.transcript.transcript_files import written, written_beside

    if wanted != LAST and (Path(wanted).exists() or "/" in wanted):
        return written_beside(Path(wanted)), None
    # What has files has a record: no server need be asked.
    run = find_run(merge(read_records(Settings().home), ()), wanted)
    if not run.files:
        why = f": {run.error}" if run.error else ""
        raise ParameterError(f"the run of {run.source_name} has no files, it is {run.state}{why}")
    return written(run.files), run


def open_in_browser(transcript: "WrittenTranscript") -> None:
    """Open the HTML page.

    Raises:
        ParameterError: none was written.
    """
    page = transcript.files.get("html")
    if page is None:
        raise ParameterError(
            "no HTML page was written: transcribe again with -f html; it is cached"
        )
    typer.echo(page)
    typer.launch(link_of(page))


def head(transcript: "WrittenTranscript", run: ListedRun | None) -> list[Text]:
    """Return what the transcript is of and what it amounts to."""
    output = transcript.output()
    if output is not None:
        return [closing_line(output), Text(f"  {output.provenance.source_address}", style="dim")]
    if run is None:
        return []
    figures = f"  {figures_text(run.figures)}" if run.figures else ""
    return [Text.assemble((run.source_name, "bold"), f"  {run.state.replace('_', ' ')}{figures}")]
