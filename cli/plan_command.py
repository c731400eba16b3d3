"""`longform plan`: how a recording would be read and cut, without a model or a server."""

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from longform.audio import to_seconds
from longform.chunking.macro import Split
from longform.media.model import Recording
from longform.params import TranscribeParams, parse_params
from longform.pipeline.planning import Plan
from longform.settings import Settings, with_overrides


def plan(
    media: Annotated[str, typer.Argument(help="File or URL.")],
    macro_chunk_size_sec: Annotated[
        float | None, typer.Option(help="Nominal length of a macro chunk, in seconds.")
    ] = None,
    split_search_sec: Annotated[
        float | None, typer.Option(help="How far around it a boundary is looked for, in seconds.")
    ] = None,
    audio_stream: Annotated[
        int | None, typer.Option(help="Which audio stream, from 0. Default: the default one.")
    ] = None,
    allow_private_hosts: Annotated[
        bool, typer.Option("--allow-private-hosts", help="Let the URL point to a private address.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Show how a recording would be read and cut: access mode, spans and split decisions.

    A source that can only be read from start to end (mp3, ogg, ...) is decoded once for this.

    Examples:

      longform plan talk.m4a

      longform plan https://example.org/show.mp3 --json | jq .plan.chunks
    """
    given = {
        "macro_chunk_size_sec": macro_chunk_size_sec,
        "split_search_sec": split_search_sec,
        "audio_stream": audio_stream,
    }
    params = parse_params({name: value for name, value in given.items() if value is not None})
    settings = with_overrides(Settings(), allow_private_hosts=allow_private_hosts or None)
    recording, made = asyncio.run(_plan(media, settings, params))
    if as_json:
        media_facts = recording.media.model_dump(mode="json")
        document = {"media": media_facts, "plan": made.model_dump(mode="json")}
        sys.stdout.write(json.dumps(document) + "\n")
        return
    _print(recording, made)


async def _plan(media: str, settings: Settings, params: TranscribeParams) -> tuple[Recording, Plan]:
    from longform.media.shared_blocks import discard_blocks
    from longform.media.sources.open import check_exists
    from longform.media.spool import open_scratch
    from longform.pipeline.planning import make_plan, open_recording

    check_exists(media)
    async with open_scratch(settings) as scratch, AsyncExitStack() as ending:
        recording = await open_recording(media, settings, scratch.local_dir, params.audio_stream)
        ending.callback(discard_blocks, recording.policy.block_dir, recording.source.blocks)
        return recording, await make_plan(recording, params)


def _print(recording: Recording, made: Plan) -> None:
    media, source = recording.media, recording.source
    console = Console()
    facts = Table.grid(padding=(0, 2))
    facts.add_row("source", escape(source.shown))
    facts.add_row("container", f"{media.container}, {media.codec}")
    facts.add_row("access", f"{media.access}: {media.access_reason}")
    facts.add_row("duration", f"{to_seconds(made.total_samples):.3f} s")
    for warning in source.warnings + media.warnings:
        facts.add_row("warning", escape(warning))
    console.print(facts)
    table = Table("chunk", "from (s)", "to (s)", "length (s)", "cut at its end")
    for chunk in made.chunks:
        split = chunk.split
        how = "end of the recording" if split is None else f"{split.kind}{_doubt(split)}"
        times = (chunk.span.start_time_sec, chunk.span.end_time_sec, chunk.span.duration_sec)
        table.add_row(str(chunk.index), *(f"{time:.3f}" for time in times), how)
    console.print(table)


def _doubt(split: Split) -> str:
    return "" if split.is_silent else ", not silent: a word may be cut"
