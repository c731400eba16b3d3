"""What `longform transcribe` does once its options are understood."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, cast

from rich.console import Console

from cli.display import Display, open_display
from cli.exit_codes import COMPLETE, INCOMPLETE, INTERRUPTED, TERMINATED, exit_code
from cli.interruption import Interruption
from cli.run_request import Request
from cli.run_summary import closing_line, file_lines, run_line
from cli.shared_cluster import SharedCluster
from longform.errors import IncompleteTranscriptError, LongformError
from longform.runs.progress_events import RunProgress, progress_listener
from longform.settings import Settings, with_overrides

if TYPE_CHECKING:
    from longform.transcript.output import TranscribeOutput


def perform(request: Request) -> int:
    """Do what was asked for, and return the exit code.

    Raises:
        LongformError: what is wrong before anything has been started.
    """
    end_at_sigterm()
    check_before_start(request)
    display = open_display(quiet=request.quiet)
    with Interruption(display) as interruption:
        try:
            with display, SharedCluster(request) as cluster:
                display.show(RunProgress("", "starting"))
                request = enter_environment(request, cluster)
                return asyncio.run(transcribe_all(request, display, interruption))
        except (KeyboardInterrupt, asyncio.CancelledError):
            sys.stderr.write(f"{interruption.kept(sys.argv[1:])}\n")
            return INTERRUPTED if interruption.came else TERMINATED


def end_at_sigterm() -> None:
    """Have SIGTERM unwind this process, where it would end it with everything left behind."""

    def end(number: int, frame: object) -> None:
        raise SystemExit(TERMINATED)

    signal.signal(signal.SIGTERM, end)


def check_before_start(request: Request) -> None:
    """Find what can be found wrong in a second, before a server and a cluster are started.

    Raises:
        LongformError: the first thing that is wrong.
    """
    from longform.media.sources.open import check_exists
    from longform.speech.engine_choice import choose_engine
    from longform.transcript.write import check_writable

    for media in request.media:
        check_exists(media)
    check_writable(request.output_dir or request.settings.output_dir)
    choose_engine(request.params, request.settings)
    if request.params.diarize.enabled:
        from longform.speakers.diarize import load_diarizer

        load_diarizer(request.settings)


def enter_environment(request: Request, cluster: SharedCluster) -> Request:
    """Return the request, with the settings that are in force once the server has been asked."""
    settings = begin_environment(
        request.settings, request.overrides, verbose=request.verbose, meanwhile=cluster.begin
    )
    cluster.share(settings)
    return replace(request, settings=settings)


def begin_environment(
    settings: Settings,
    overrides: Mapping[str, object],
    *,
    verbose: bool,
    meanwhile: Callable[[], None] = lambda: None,
) -> Settings:
    """Give this process and its children a Prefect server, a quiet log and their settings.

    Args:
        settings: as this process knows them.
        overrides: options, which go over everything else.
        verbose: show Prefect's log.
        meanwhile: is called where the server is still starting.

    Returns:
        The settings that are in force once the server has been asked.
    """
    from infra.prefect_server import begin_server

    if not verbose:
        # The API still gets every record; a person gets our own lines and no tracebacks.
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
        os.environ.setdefault("PREFECT_LOGGING_ROOT_LEVEL", "CRITICAL")
    server = begin_server(settings.home)
    server.address.apply()
    import_module("flows.transcribe")  # seconds, while the server starts
    if server.is_starting:
        meanwhile()
    server.wait()
    settings = settings_in_force(overrides)
    os.environ.update(settings.to_environment())
    return settings


def settings_in_force(overrides: Mapping[str, object]) -> Settings:
    """Return options over the environment over the Prefect variable over the defaults."""
    from infra.settings_variable import load_settings

    return with_overrides(asyncio.run(load_settings()), **overrides)


async def transcribe_all(request: Request, display: Display, interruption: Interruption) -> int:
    """Transcribe one recording after the other; return the exit code of the first that failed."""
    interruption.cancels_this_task()
    codes = []
    for number, media in enumerate(request.media, 1):
        display.begin(number, len(request.media))
        codes.append(await transcribe_one(media, request, display, interruption))
    return next((code for code in codes if code != COMPLETE), COMPLETE)


async def transcribe_one(
    media: str, request: Request, display: Display, interruption: Interruption
) -> int:
    """Transcribe one recording, show what came of it, and return its exit code."""

    def listen(now: RunProgress) -> None:
        interruption.note(now)
        display.show(now)

    progress_listener.set(listen)
    try:
        output = await run_flow(media, request)
    except LongformError as error:
        display.say(f"longform: {error}")
        if isinstance(error, IncompleteTranscriptError):
            present(cast("TranscribeOutput", error.output), request, display)
        return exit_code(error)
    present(output, request, display)
    return INCOMPLETE if output.failed_sec else COMPLETE


async def run_flow(media: str, request: Request) -> "TranscribeOutput":
    """Run the flow in this process."""
    from prefect.exceptions import CancelledRun

    from flows.transcribe import transcribe as transcribe_flow
    from longform.media.sources.signed_urls import seal

    try:
        return await transcribe_flow(
            seal(media),  # Prefect stores what a flow is given
            request.params,
            output_dir=request.output_dir,
            output_formats=request.formats,
            use_cache=request.use_cache,
        )
    except CancelledRun as ending:  # in the UI, or through the API
        raise asyncio.CancelledError from ending


def present(output: "TranscribeOutput", request: Request, display: Display) -> None:
    """Print what the caller asked for on stdout; what happened, and where to look, on stderr."""
    if not request.quiet:
        for warning in output.warnings:
            display.say(f"warning: {warning}")
        display.say(closing_line(output, with_file=request.is_brief))
    with display.paused():
        print_results(output, request)
    if output.run_url and not (request.quiet or request.is_brief):
        display.say(run_line(output.run_url))


def print_results(output: "TranscribeOutput", request: Request) -> None:
    """Print the transcript as it was asked for, or the addresses of its files."""
    if request.as_json:
        sys.stdout.write(output.model_dump_json() + "\n")
    if request.print_text and not request.as_json:
        sys.stdout.write("\n".join(segment.text.strip() for segment in output.segments) + "\n\n")
    if not (request.as_json or request.quiet or request.is_brief):
        console = Console(highlight=False)
        for line in file_lines(output.files):
            console.print(line, soft_wrap=True)
    sys.stdout.flush()
