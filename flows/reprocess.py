"""The flow `reprocess`: many recordings in one run, on one cluster."""

from typing import Annotated

from prefect import flow
from prefect_dask import DaskTaskRunner
from pydantic import Field

from flows.parameter_docs import with_parameter_docs
from flows.transcribe import DEFAULT_FORMATS, DEFAULT_PARAMS
from flows.webhook import tell_webhook
from infra.cluster import open_cluster
from longform.params import TranscribeParams
from longform.reprocess.report import BatchReport
from longform.reprocess.request import Select

FILES_IN_FLIGHT = 4  # one is transcribed, one ends, and two are opened and cut meanwhile


@flow(
    name="reprocess",
    task_runner=DaskTaskRunner(cluster_class=open_cluster),
    persist_result=False,
    **tell_webhook,
)
@with_parameter_docs
async def reprocess(
    sources: Annotated[
        tuple[str, ...], Field(description="Recordings: http(s) or object store URLs, or paths")
    ] = (),
    manifest: Annotated[
        str | None,
        Field(
            description="List of recordings as a .txt, .csv or .jsonl file, at a path or URL; "
            "csv and jsonl may give parameters for each file"
        ),
    ] = None,
    glob: Annotated[
        str | None,
        Field(description="Pattern of recordings, such as s3://bucket/shows/**/*.mp3"),
    ] = None,
    feed: Annotated[
        str | None, Field(description="Podcast feed (RSS or Atom), whose episodes are taken")
    ] = None,
    select: Annotated[
        Select,
        Field(
            description="Which of them: those without a transcript (missing), those whose source, "
            "parameters or model differ from their transcript's (outdated), those that failed "
            "or are incomplete (failed), or all"
        ),
    ] = "missing",
    params: Annotated[
        TranscribeParams, Field(description="Parameters of every file that brings none of its own")
    ] = DEFAULT_PARAMS,
    output_dir: Annotated[
        str | None, Field(description="Folder or fsspec URL for the files. Empty: as configured")
    ] = None,
    output_formats: Annotated[
        tuple[str, ...],
        Field(
            description="Files to write: srt, vtt, txt, tsv, html, diarized_json; json always, "
            "since a later run reads it"
        ),
    ] = DEFAULT_FORMATS,
    limit: Annotated[
        int | None, Field(ge=1, description="At most so many of the selected files. Empty: all")
    ] = None,
    dry_run: Annotated[
        bool, Field(description="Only report what would be done and why; opens no cluster")
    ] = False,
    files_in_flight: Annotated[
        int,
        Field(
            ge=1,
            le=64,
            description="Files that are worked on at a time (1-64); earlier files come first",
        ),
    ] = FILES_IN_FLIGHT,
    compare: Annotated[
        bool,
        Field(description="Write a page with the changes of the text beside a replaced transcript"),
    ] = False,
    use_cache: Annotated[
        bool, Field(description="Take chunks that an earlier run has finished from the cache")
    ] = True,
) -> BatchReport:
    """Transcribe many recordings: those of several lists that have no good transcript yet."""
    raise NotImplementedError
