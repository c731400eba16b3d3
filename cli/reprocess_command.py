"""What `longform reprocess` does once its options are understood."""

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.display import Display, open_display
from cli.exit_codes import COMPLETE, INCOMPLETE, INTERRUPTED, TERMINATED
from cli.interruption import Interruption
from cli.transcribe_command import begin_environment, end_at_sigterm
from longform.errors import BatchFailedError
from longform.params import TranscribeParams
from longform.reprocess.request import Select, SourceLists
from longform.runs.progress_events import RunProgress, progress_listener
from longform.settings import Settings

if TYPE_CHECKING:
    from longform.reprocess.batch_report import BatchReport

LOG_COLUMNS = 10_000  # more than the longest row has


@dataclass(frozen=True, slots=True)
class BulkRequest:
    """What one call of the command asks for, checked."""

    lists: SourceLists
    select: Select
    params: TranscribeParams
    settings: Settings
    overrides: Mapping[str, object]  # of the settings, by options
    output_dir: str | None
    formats: tuple[str, ...]
    limit: int | None
    dry_run: bool
    files_in_flight: int | None
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
    display = open_display(quiet=request.quiet)
    with Interruption(display) as interruption:
        try:
            with display:
                display.show(RunProgress("", "starting"))
                begin_environment(request.settings, request.overrides, verbose=request.verbose)
                report = asyncio.run(run_flow(request, display, interruption))
        except (KeyboardInterrupt, asyncio.CancelledError):
            sys.stderr.write(f"{interruption.kept(sys.argv[1:])}\n")
            return INTERRUPTED if interruption.came else TERMINATED
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
        check_writable(request.output_dir or request.settings.output_dir)
    choose_engine(request.params, request.settings)


async def run_flow(
    request: BulkRequest, display: Display, interruption: Interruption
) -> "BatchReport":
    """Run the flow in this process; return its report, also where every file failed."""
    from flows.reprocess import reprocess as reprocess_flow

    def listen(now: RunProgress) -> None:
        interruption.note(now)
        display.show(now)

    interruption.cancels_this_task()
    progress_listener.set(listen)
    try:
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
    except BatchFailedError as error:
        return cast("BatchReport", error.report)


def present(report: "BatchReport", request: BulkRequest) -> None:
    """Print the report: as JSON, or as a table with what happened under it."""
    from longform.reprocess.batch_report import headline, table, totals

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
