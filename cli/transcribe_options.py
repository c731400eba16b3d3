"""`longform transcribe`: its options."""

from typing import Annotated

import typer

from cli import completion
from cli.run_request import request_from
from cli.transcribe_command import perform

MODEL = "Model"
CUTTING = "Cutting"
SUBTITLES = "Subtitles"
SPEAKERS = "Speakers"
RUNNING = "Running"
OUTPUT = "Output"


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
            help="Formats, comma-separated: json, srt, vtt, txt, tsv, html, diarized_json, or all.",
            rich_help_panel=OUTPUT,
            autocompletion=completion.formats,
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
            "--verbose",
            "-v",
            help="Show the log of Prefect and Dask above the progress.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
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
        int | None, typer.Option(help="Micro chunks decoded together.", rich_help_panel=MODEL)
    ] = None,
    beam_size: Annotated[
        int | None,
        typer.Option(help="Width of the beam search; 1 is greedy.", rich_help_panel=MODEL),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(
            help="Spoken language (en, de, ...). Default: detected.",
            rich_help_panel=MODEL,
            autocompletion=completion.languages,
        ),
    ] = None,
    languages: Annotated[
        str | None,
        typer.Option(
            help="Detect only among these languages, comma-separated (en,fr,nl).",
            rich_help_panel=MODEL,
            autocompletion=completion.language_list,
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="transcribe, or translate into English.",
            rich_help_panel=MODEL,
            autocompletion=completion.TASKS,
        ),
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
    audio_stream: Annotated[
        int | None,
        typer.Option(
            help="Which audio stream, from 0. Default: the default one, else the first.",
            rich_help_panel=CUTTING,
        ),
    ] = None,
    channels: Annotated[
        str | None,
        typer.Option(
            help="mix, or split: each channel of a call on its own, merged by time.",
            rich_help_panel=SPEAKERS,
            autocompletion=completion.CHANNELS,
        ),
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
            help="vad (drop non-speech) or silence (keep everything).",
            rich_help_panel=CUTTING,
            autocompletion=completion.CHUNKINGS,
        ),
    ] = None,
    on_chunk_failure: Annotated[
        str | None,
        typer.Option(
            help="fail or partial: how a run ends in which a chunk failed for good.",
            rich_help_panel=CUTTING,
            autocompletion=completion.ON_CHUNK_FAILURES,
        ),
    ] = None,
    diarize: Annotated[
        bool,
        typer.Option(
            "--diarize",
            help="Tell speakers apart, with the models that LONGFORM_SEGMENTATION_MODEL and "
            "LONGFORM_EMBEDDING_MODEL name.",
            rich_help_panel=SPEAKERS,
        ),
    ] = False,
    num_speakers: Annotated[
        int | None, typer.Option(help="How many speakers there are.", rich_help_panel=SPEAKERS)
    ] = None,
    min_speakers: Annotated[
        int | None, typer.Option(help="At least so many speakers.", rich_help_panel=SPEAKERS)
    ] = None,
    max_speakers: Annotated[
        int | None, typer.Option(help="At most so many speakers.", rich_help_panel=SPEAKERS)
    ] = None,
    max_line_width: Annotated[
        int | None,
        typer.Option(help="Characters in a line of a subtitle.", rich_help_panel=SUBTITLES),
    ] = None,
    max_line_count: Annotated[
        int | None, typer.Option(help="Lines in a subtitle.", rich_help_panel=SUBTITLES)
    ] = None,
    max_words_per_line: Annotated[
        int | None, typer.Option(help="Words in a subtitle.", rich_help_panel=SUBTITLES)
    ] = None,
    highlight_words: Annotated[
        bool | None,
        typer.Option(
            "--highlight-words/--no-highlight-words",
            help="Underline each word while it is spoken.",
            rich_help_panel=SUBTITLES,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Worker processes of the local cluster.", rich_help_panel=RUNNING),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            help="local, tcp://host:8786, ssh://host1,host2, kubernetes://namespace/name, "
            "gateway+https://host.",
            rich_help_panel=RUNNING,
        ),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            help="faster_whisper, or remote: the model service at --engine-url.",
            rich_help_panel=RUNNING,
            autocompletion=completion.engines,
        ),
    ] = None,
    engine_url: Annotated[
        str | None,
        typer.Option(
            help="Model service to send the audio to (http://host:8000); its key is read from "
            "LONGFORM_ENGINE_API_KEY. Implies --engine remote.",
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

    Files go to the output folder; progress goes to stderr. A second run of the
    same recording takes finished chunks from the cache. Ctrl-C ends a run cleanly
    and prints the command that goes on from there; a second one ends it at once.

    Examples:

      longform transcribe talk.mp3 --language en --model large-v3

      longform transcribe call.wav --channels split -f txt,html

      longform transcribe https://example.org/show.m4a -o out -f srt,txt

      longform transcribe meeting.mp4 --json | jq .segments

    Exit codes: 0 complete; 2 usage; 3 the source was refused or cannot be read;
    4 incomplete (a chunk failed; what there is has been written); 130 stopped;
    1 anything else.
    """
    raise typer.Exit(perform(request_from(locals())))
