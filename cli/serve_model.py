"""`longform serve-model`: the model as a service of its own."""

import logging
import sys
from typing import Annotated

import typer

from cli import completion
from longform.params import parse_params
from longform.settings import Settings

MODEL = "Model"
ADDRESS = "Address"
LIMITS = "Limits"


def serve_model(
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on. Default: 127.0.0.1.", rich_help_panel=ADDRESS),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            help="Port to listen on; 0 takes a free one. Default: 8000.", rich_help_panel=ADDRESS
        ),
    ] = None,
    allow_anonymous: Annotated[
        bool,
        typer.Option(
            "--allow-anonymous",
            help="Listen beyond this machine without LONGFORM_SERVICE_API_KEY.",
            rich_help_panel=ADDRESS,
        ),
    ] = False,
    aliases: Annotated[
        str | None,
        typer.Option(
            help="More names of the model, comma-separated. Default: whisper-1.",
            rich_help_panel=ADDRESS,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Whisper model: a name (base, large-v3, turbo), a hub repository or a folder.",
            rich_help_panel=MODEL,
            autocompletion=completion.models,
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="auto, cpu or cuda.", rich_help_panel=MODEL, autocompletion=completion.DEVICES
        ),
    ] = None,
    compute_type: Annotated[
        str | None,
        typer.Option(
            help="Number type of the model, such as int8 or float16.",
            rich_help_panel=MODEL,
            autocompletion=completion.COMPUTE_TYPES,
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(help="Micro chunks decoded together, of all requests.", rich_help_panel=MODEL),
    ] = None,
    beam_size: Annotated[
        int | None,
        typer.Option(help="Width of the beam search; 1 is greedy.", rich_help_panel=MODEL),
    ] = None,
    batch_wait_ms: Annotated[
        int | None,
        typer.Option(
            help="How long a batch that is not full waits for other requests.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    max_upload_mb: Annotated[
        int | None, typer.Option(help="Largest upload, in MiB.", rich_help_panel=LIMITS)
    ] = None,
    max_duration_sec: Annotated[
        float | None, typer.Option(help="Longest recording, in seconds.", rich_help_panel=LIMITS)
    ] = None,
    request_timeout_sec: Annotated[
        float | None,
        typer.Option(help="Longest time for a request, in seconds.", rich_help_panel=LIMITS),
    ] = None,
    max_requests: Annotated[
        int | None,
        typer.Option(help="Requests at a time; more are told to wait.", rich_help_panel=LIMITS),
    ] = None,
    grace_sec: Annotated[
        float | None,
        typer.Option(
            help="How long a stop waits for what is running, in seconds.", rich_help_panel=LIMITS
        ),
    ] = None,
) -> None:
    """Serve the model with OpenAI's transcription API, for any client and for our workers.

    Keys are read from LONGFORM_SERVICE_API_KEY (comma-separated). SIGTERM or Ctrl-C stops it
    when what is running has ended.

    Examples:

      longform serve-model --model large-v3

      curl 127.0.0.1:8000/v1/audio/transcriptions -F model=large-v3 -F file=@talk.mp3

      longform transcribe talk.mp3 --model large-v3 --engine-url http://127.0.0.1:8000
    """
    from longform.serving.server import serve
    from longform.serving.service_settings import service_settings

    service = service_settings(
        host=host,
        port=port,
        allow_anonymous=allow_anonymous or None,
        aliases=aliases,
        batch_wait_ms=batch_wait_ms,
        max_upload_mb=max_upload_mb,
        max_duration_sec=max_duration_sec,
        request_timeout_sec=request_timeout_sec,
        max_requests=max_requests,
        grace_sec=grace_sec,
    )
    asked = {
        "model": model,
        "device": device,
        "compute_type": compute_type,
        "batch_size": batch_size,
        "beam_size": beam_size,
    }
    params = parse_params({name: value for name, value in asked.items() if value is not None})
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("longform").setLevel(logging.INFO)
    serve(service, params, Settings(), _say)


def _say(line: str) -> None:
    sys.stderr.write(f"longform: {line}\n")
    sys.stderr.flush()
