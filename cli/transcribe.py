"""`longform transcribe`: recordings in, transcripts out, on this machine or a cluster."""

import asyncio
import os
import sys
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, cast

import typer

from cli.display import open_display
from cli.exit_codes import COMPLETE, INCOMPLETE, INTERRUPTED, exit_code
from longform.errors import IncompleteTranscriptError, LongformError, ParameterError
from longform.params import TranscribeParams, parse_params
from longform.progress import progress_listener
from longform.settings import Settings, with_overrides

if TYPE_CHECKING:
    from longform.transcript.output import TranscribeOutput

MODEL = "Model"
CUTTING = "Cutting"
RUNNING = "Running"
OUTPUT = "Output"

ALL_FORMATS = ("json", "srt", "vtt", "txt", "tsv")


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


def transcribe(
    media: Annotated[
        list[str], typer.Argument(help="Files or URLs, of seconds to a day; audio or video.")
    ],
    output_dir: Annotated[
        str | None,
        typer.Option(
            "--output-dir",
            "-o",
            help="Folder or fsspec URL for the transcripts. Default: ./transcripts.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    output_format: Annotated[
        str,
        typer.Option(
            "--output-format",
            "-f",
            help="Formats, comma-separated: json, srt, vtt, txt, tsv, or all.",
            rich_help_panel=OUTPUT,
        ),
    ] = "all",
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print only the result, as JSON, on stdout (a line per recording).",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    print_text: Annotated[
        bool,
        typer.Option("--print", help="Print the transcript on stdout.", rich_help_panel=OUTPUT),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="No progress; errors only.", rich_help_panel=OUTPUT),
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", help="Show the log of Prefect and Dask.", rich_help_panel=OUTPUT
        ),
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            help="Whisper model: a name (base, large-v3, turbo), a hub repository or a folder.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu or cuda.", rich_help_panel=MODEL)
    ] = None,
    compute_type: Annotated[
        str | None,
        typer.Option(
            help="Number type of the model, such as int8 or float16.", rich_help_panel=MODEL
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Micro chunks decoded together.", rich_help_panel=MODEL)
    ] = None,
    beam_size: Annotated[
        int | None,
        typer.Option(help="Width of the beam search; 1 is greedy.", rich_help_panel=MODEL),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(
            help="Spoken language (en, de, ...). Default: detected.", rich_help_panel=MODEL
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="transcribe, or translate into English.", rich_help_panel=MODEL),
    ] = None,
    word_timestamps: Annotated[
        bool | None,
        typer.Option(
            "--word-timestamps/--no-word-timestamps",
            help="Times for every word. On by default.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    initial_prompt: Annotated[
        str | None,
        typer.Option(help="Text that tells the model names and style.", rich_help_panel=MODEL),
    ] = None,
    hotwords: Annotated[
        str | None, typer.Option(help="Words that are likely to occur.", rich_help_panel=MODEL)
    ] = None,
    macro_chunk_size_sec: Annotated[
        float | None,
        typer.Option(
            help="Nominal length of a macro chunk (a task on the cluster), in seconds.",
            rich_help_panel=CUTTING,
        ),
    ] = None,
    micro_chunk_size_sec: Annotated[
        float | None,
        typer.Option(
            help="Longest micro chunk (a window of the model), in seconds.", rich_help_panel=CUTTING
        ),
    ] = None,
    chunking: Annotated[
        str | None,
        typer.Option(
            help="vad (drop non-speech) or silence (keep everything).", rich_help_panel=CUTTING
        ),
    ] = None,
    on_chunk_failure: Annotated[
        str | None,
        typer.Option(
            help="fail or partial: how a run ends in which a chunk failed for good.",
            rich_help_panel=CUTTING,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Worker processes of the local cluster.", rich_help_panel=RUNNING),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            help="local, or the address of a Dask scheduler (tcp://host:8786).",
            rich_help_panel=RUNNING,
        ),
    ] = None,
    no_cache: Annotated[
        bool,
        typer.Option(
            "--no-cache",
            help="Transcribe again what an earlier run has already done.",
            rich_help_panel=RUNNING,
        ),
    ] = False,
    allow_private_hosts: Annotated[
        bool,
        typer.Option(
            "--allow-private-hosts",
            help="Let URLs point to loopback and private addresses.",
            rich_help_panel=RUNNING,
        ),
    ] = False,
) -> None:
    """Transcribe recordings of any length.

    Files go to the output folder; progress goes to stderr. A second run of the same
    recording takes finished chunks from the cache.

    Examples:

      longform transcribe talk.mp3

      longform transcribe https://example.org/show.m4a -o out -f srt,txt --language en

      longform transcribe meeting.mp4 --json | jq .segments

    Exit codes: 0 complete; 2 usage; 3 the source was refused or cannot be read;
    4 incomplete (a chunk failed; what there is has been written); 1 anything else.
    """
    given = locals()
    params = parse_params(
        {name: given[name] for name in TranscribeParams.model_fields if given.get(name) is not None}
    )
    settings = with_overrides(
        Settings(),
        workers=workers,
        cluster=cluster,
        allow_private_hosts=allow_private_hosts or None,
    )
    request = Request(
        media=tuple(media),
        params=params,
        settings=settings,
        output_dir=output_dir or settings.output_dir,
        formats=parse_formats(output_format),
        use_cache=not no_cache,
        as_json=as_json,
        print_text=print_text,
        quiet=quiet,
    )
    check_before_start(request)
    enter_environment(settings, verbose=verbose)
    try:
        code = asyncio.run(transcribe_all(request))
    except KeyboardInterrupt:
        sys.stderr.write(
            "longform: stopped; finished chunks are kept: the same command goes on from there\n"
        )
        code = INTERRUPTED
    raise typer.Exit(code)


def parse_formats(text: str) -> tuple[str, ...]:
    """Return the formats that a comma-separated list names.

    Raises:
        ParameterError: naming the unknown one and those there are.
    """
    from longform.transcript.formats import FORMATS

    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    if names == ["all"]:
        return tuple(FORMATS)
    if unknown := [name for name in names if name not in FORMATS]:
        raise ParameterError(
            f"--output-format: no format {unknown[0]!r}; there are {', '.join(FORMATS)}, all"
        )
    if not names:
        raise ParameterError(f"--output-format: name at least one of {', '.join(FORMATS)}, all")
    return tuple(dict.fromkeys(names))


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

    with open_display(quiet=request.quiet) as display:
        progress_listener.set(display.show)
        return await transcribe_flow(
            media,
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
