"""What `longform reprocess` does once its options are understood."""

import asyncio
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.display import open_display
from cli.exit_codes import COMPLETE, INCOMPLETE, INTERRUPTED, TERMINATED
from cli.transcription import end_at_sigterm, enter_environment
from longform.errors import BatchFailedError
from longform.params import TranscribeParams
from longform.progress import progress_listener
from longform.reprocess.request import Select, SourceLists
from longform.settings import Settings

if TYPE_CHECKING:
    from longform.reprocess.report import BatchReport

LOG_COLUMNS = 10_000  # more than the longest row has


@dataclass(frozen=True, slots=True)
class BulkRequest:
    """What one call of the command asks for, checked."""

    lists: SourceLists
    select: Select
    params: TranscribeParams
    settings: Settings
    output_dir: str
    formats: tuple[str, ...]
    limit: int | None
    dry_run: bool
    files_in_flight: int
    compare: bool
    use_cache: bool
    as_json: bool
    quiet: bool
    verbose: bool


def perform_bulk(request: BulkRequest) -> int:
    """Do what was asked for, and return the exit code.

    Raises:
        LongformError: what is wrong for all files.
    """
    end_at_sigterm()
    check_before_start(request)
    enter_environment(request.settings, verbose=request.verbose)
    try:
        report = asyncio.run(run_flow(request))
    except BatchFailedError as error:
        report = cast("BatchReport", error.report)
    except (KeyboardInterrupt, asyncio.CancelledError) as ending:
        sys.stderr.write(
            "longform: stopped; finished files and chunks are kept: the same command goes on "
            "from there\n"
        )
        return INTERRUPTED if isinstance(ending, KeyboardInterrupt) else TERMINATED
    present(report, request)
    return INCOMPLETE if report.num_failed else COMPLETE


def check_before_start(request: BulkRequest) -> None:
    """Find what can be found wrong in a second, before a server is started.

    Raises:
        LongformError: the first thing that is wrong.
    """
    from longform.reprocess.manifest import parser_of
    from longform.reprocess.sources import require_some
    from longform.speech.engine_choice import choose_engine
    from longform.transcript.write import check_writable

    require_some(request.lists)
    if request.lists.manifest:
        parser_of(request.lists.manifest)
    if not request.dry_run:
        check_writable(request.output_dir)
    choose_engine(request.params, request.settings)


async def run_flow(request: BulkRequest) -> "BatchReport":
    """Run the flow in this process, with a display around it."""
    from flows.reprocess import reprocess as reprocess_flow

    with open_display(quiet=request.quiet) as display:
        progress_listener.set(display.show)
        return await reprocess_flow(
            sources=request.lists.sources,
            manifest=request.lists.manifest,
            glob=request.lists.glob,
            feed=request.lists.feed,
            select=request.select,
            params=request.params,
            output_dir=request.output_dir,
            output_formats=request.formats,
            limit=request.limit,
            dry_run=request.dry_run,
            files_in_flight=request.files_in_flight,
            compare=request.compare,
            use_cache=request.use_cache,
        )


def present(report: "BatchReport", request: BulkRequest) -> None:
    """Print the report: as JSON, or as a table with what happened under it."""
    from longform.reprocess.summary import headline, table, totals

    if request.as_json:
        sys.stdout.write(report.model_dump_json() + "\n")
        return
    rows = table(report)
    columns = [name for name in rows[0] if any(row.get(name) for row in rows)] if rows else []
    shown = Table(*columns)
    for row in rows:
        shown.add_row(*(escape(row.get(name, "")) for name in columns))
    # In a log or a pipe every row stays one line.
    console = Console(width=None if sys.stdout.isatty() else LOG_COLUMNS)
    console.print(shown)
    for line in (headline(report), totals(report) if not report.dry_run else "", report.address):
        if line:
            console.print(escape(line), soft_wrap=True, highlight=False)
    if report.run_url and not request.quiet:
        sys.stderr.write(f"look at the run: {report.run_url}\n")
