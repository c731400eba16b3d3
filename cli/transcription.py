"""What `longform transcribe` does once its options are understood."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

from cli.display import open_display
from cli.exit_codes import COMPLETE, INCOMPLETE, INTERRUPTED, TERMINATED, exit_code
from longform.errors import IncompleteTranscriptError, LongformError, ParameterError
from longform.params import TranscribeParams
from longform.progress import progress_listener
from longform.settings import Settings

if TYPE_CHECKING:
    from longform.transcript.output import TranscribeOutput


@dataclass(frozen=True, slots=True)
class Request:
    """What one call of the command asks for, checked."""

    media: tuple[str, ...]
    params: TranscribeParams
    settings: Settings
    output_dir: str
    formats: tuple[str, ...]
    use_cache: bool
    as_json: bool
    print_text: bool
    quiet: bool
    verbose: bool


def parse_formats(text: str) -> tuple[str, ...]:
    """Return the formats that a comma-separated list names.

    Raises:
        ParameterError: naming the unknown one and those there are.
    """
    from longform.transcript.formats import FORMATS, ON_REQUEST

    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    if names == ["all"]:
        return tuple(name for name in FORMATS if name not in ON_REQUEST)
    if unknown := [name for name in names if name not in FORMATS]:
        raise ParameterError(
            f"--output-format: no format {unknown[0]!r}; there are {', '.join(FORMATS)}, all"
        )
    if not names:
        raise ParameterError(f"--output-format: name at least one of {', '.join(FORMATS)}, all")
    return tuple(dict.fromkeys(names))


def perform(request: Request) -> int:
    """Do what was asked for, and return the exit code.

    Raises:
        LongformError: what is wrong before anything has been started.
    """
    end_at_sigterm()
    check_before_start(request)
    enter_environment(request.settings, verbose=request.verbose)
    try:
        with shared_cluster(request):
            return asyncio.run(transcribe_all(request))
    except (KeyboardInterrupt, asyncio.CancelledError) as ending:
        sys.stderr.write(
            "longform: stopped; finished chunks are kept: the same command goes on from there\n"
        )
        return INTERRUPTED if isinstance(ending, KeyboardInterrupt) else TERMINATED


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
    from longform.media.source import check_exists
    from longform.speech.engine_choice import choose_engine
    from longform.transcript.write import check_writable

    for media in request.media:
        check_exists(media)
    check_writable(request.output_dir)
    choose_engine(request.params, request.settings)
    if request.params.diarize.enabled:
        from longform.speakers.diarize import load_diarizer

        load_diarizer(request.settings)


def enter_environment(settings: Settings, *, verbose: bool) -> None:
    """Give this process and its children their settings, a Prefect server and a quiet log."""
    from infra.server import begin_server

    os.environ.update(settings.to_environment())
    if not verbose:
        # The API still gets every record; a person gets our own lines and no tracebacks.
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
        os.environ.setdefault("PREFECT_LOGGING_ROOT_LEVEL", "CRITICAL")
    server = begin_server(settings.home)
    server.address.apply()
    import_module("flows.transcribe")  # seconds, while the server starts
    server.wait()


@contextmanager
def shared_cluster(request: Request) -> Iterator[None]:
    """Let several recordings use one local cluster, so that the model is loaded once."""
    from infra.cluster import local_cluster

    if len(request.media) == 1 or request.settings.cluster != "local":
        yield
        return
    with local_cluster(request.settings) as cluster:
        os.environ["LONGFORM_CLUSTER"] = cluster.scheduler_address
        yield


async def transcribe_all(request: Request) -> int:
    """Transcribe one recording after the other; return the exit code of the first that failed."""
    codes = [await transcribe_one(media, request) for media in request.media]
    return next((code for code in codes if code != COMPLETE), COMPLETE)


async def transcribe_one(media: str, request: Request) -> int:
    """Transcribe one recording, show what came of it, and return its exit code."""
    try:
        output = await run_flow(media, request)
    except LongformError as error:
        sys.stderr.write(f"longform: {error}\n")
        if isinstance(error, IncompleteTranscriptError):
            present(cast("TranscribeOutput", error.output), request)
        return exit_code(error)
    present(output, request)
    return INCOMPLETE if output.failed_sec else COMPLETE


async def run_flow(media: str, request: Request) -> "TranscribeOutput":
    """Run the flow in this process, with a display around it."""
    from flows.transcribe import transcribe as transcribe_flow
    from longform.media.address_book import seal

    with open_display(quiet=request.quiet) as display:
        progress_listener.set(display.show)
        return await transcribe_flow(
            seal(media),  # Prefect stores what a flow is given
            request.params,
            output_dir=request.output_dir,
            output_formats=request.formats,
            use_cache=request.use_cache,
        )


def present(output: "TranscribeOutput", request: Request) -> None:
    """Print what the caller asked for on stdout; what happened, and where to look, on stderr."""
    for warning in output.warnings:
        sys.stderr.write(f"warning: {warning}\n")
    if request.as_json:
        sys.stdout.write(output.model_dump_json() + "\n")
        return
    if request.print_text:
        sys.stdout.write("\n".join(segment.text.strip() for segment in output.segments) + "\n\n")
    sys.stdout.write("".join(f"{path}\n" for path in output.files))
    if not request.quiet:
        sys.stderr.write(closing_line(output))


def closing_line(output: "TranscribeOutput") -> str:
    """Return the run in figures and the address at which it can be looked at."""
    figures = (
        f"{output.input_duration_sec:.1f} s of audio in {output.processing_duration_sec:.1f} s "
        f"({output.speedup:.1f} x real time), {len(output.segments)} segments"
    )
    where = f"look at the run: {output.run_url}\n" if output.run_url else ""
    return f"{figures}\n{where}"
