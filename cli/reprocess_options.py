"""`longform reprocess`: its options, and what they mean as a request."""

from typing import Annotated, Any, cast

import typer

from cli.reprocess_command import BulkRequest, perform_bulk
from cli.run_request import parse_formats
from longform.errors import ParameterError
from longform.media.sources.local_file import portable_address
from longform.media.sources.signed_urls import seal
from longform.params import TranscribeParams
from longform.reprocess.overrides import known_names, nested, overridden
from longform.reprocess.request import Select, SourceLists
from longform.settings import Settings, with_overrides

LISTS = "Which files"
PARAMETERS = "Parameters"
RUNNING = "Running"
OUTPUT = "Output"
SELECTIONS = ("missing", "outdated", "failed", "all")


def reprocess(
    sources: Annotated[
        list[str] | None, typer.Argument(help="Files or URLs.", show_default=False)
    ] = None,
    manifest: Annotated[
        str | None,
        typer.Option(
            help="List of recordings at a path or URL: .txt, or .csv and .jsonl with parameters "
            "for each file.",
            rich_help_panel=LISTS,
        ),
    ] = None,
    glob: Annotated[
        str | None,
        typer.Option(
            help="Pattern, in quotes: 's3://bucket/shows/**/*.mp3'.", rich_help_panel=LISTS
        ),
    ] = None,
    feed: Annotated[
        str | None, typer.Option(help="Podcast feed: RSS or Atom.", rich_help_panel=LISTS)
    ] = None,
    select: Annotated[
        str,
        typer.Option(
            help="missing: without a transcript. outdated: source, parameters or model differ "
            "from the transcript's. failed: failed before, or incomplete. all.",
            rich_help_panel=LISTS,
        ),
    ] = "missing",
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many files.", rich_help_panel=LISTS)
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show what would be done and why.", rich_help_panel=LISTS),
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            help="Whisper model: a name (base, large-v3, turbo), a hub repository or a folder.",
            rich_help_panel=PARAMETERS,
        ),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(
            help="Spoken language (en, de, ...). Default: detected.", rich_help_panel=PARAMETERS
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any other parameter, such as beam_size=1 or vad.threshold=0.4; can be repeated.",
            rich_help_panel=PARAMETERS,
        ),
    ] = None,
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
            help="Formats, comma-separated: srt, vtt, txt, tsv, html, diarized_json, or all; "
            "json is always written.",
            rich_help_panel=OUTPUT,
        ),
    ] = "all",
    compare: Annotated[
        bool,
        typer.Option(
            "--compare",
            help="Write a page with the changes beside each transcript that is replaced.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print only the report, as JSON.", rich_help_panel=OUTPUT),
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
    files_in_flight: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=64,
            help="Files that are open at a time. Default: as many as the cluster runs chunks at a "
            "time, and at least 4.",
            rich_help_panel=RUNNING,
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
    """Transcribe many recordings in one run: those that have no good transcript yet.

    One file that fails stops no other. A table and a JSON report say what became of each.

    Examples:

      longform reprocess --glob 's3://bucket/shows/**/*.mp3' -o s3://bucket/transcripts

      longform reprocess --feed https://example.org/feed.xml --limit 10 --dry-run

      longform reprocess --manifest shows.csv --select outdated --model large-v3 --compare

    Exit codes: 0 nothing failed; 2 usage; 4 some files failed; 3 a list cannot be read;
    1 the run could not go on.
    """
    if select not in SELECTIONS:
        raise ParameterError(f"--select: {select!r} is none of {', '.join(SELECTIONS)}")
    overrides = {
        "workers": workers,
        "cluster": cluster,
        "allow_private_hosts": allow_private_hosts or None,
    }
    request = BulkRequest(
        lists=SourceLists(
            # Prefect stores what a flow is given: signatures stay in this process.
            sources=tuple(seal(portable_address(source)) for source in sources or ()),
            manifest=seal(manifest) if manifest else None,
            glob=glob,
            feed=seal(feed) if feed else None,
        ),
        select=cast(Select, select),
        params=overridden(
            TranscribeParams(), _given(set_ or [], {"model": model, "language": language})
        ),
        settings=with_overrides(Settings(), **overrides),
        overrides=overrides,
        output_dir=output_dir,
        formats=parse_formats(output_format),
        limit=limit,
        dry_run=dry_run,
        files_in_flight=files_in_flight,
        compare=compare,
        use_cache=not no_cache,
        as_json=as_json,
        quiet=quiet,
        verbose=verbose,
    )
    raise typer.Exit(perform_bulk(request))


def _given(assignments: list[str], options: dict[str, str | None]) -> dict[str, Any]:
    """Return the parameters that were given, nested.

    Raises:
        ParameterError: an assignment is none, or to no parameter.
    """
    given = {name: value for name, value in options.items() if value is not None}
    for assignment in assignments:
        name, separator, value = assignment.partition("=")
        name = name.strip().replace("-", "_")
        if not separator or name not in known_names():
            raise ParameterError(f"--set {assignment}: write NAME=VALUE, with a parameter's name")
        given[name] = value.strip()
    return nested(given)
