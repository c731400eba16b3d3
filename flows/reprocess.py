"""The flow `reprocess`: many recordings in one run, on one cluster."""

import asyncio
import time
from collections.abc import Sequence
from typing import Annotated, Any, cast

from prefect import flow
from prefect.artifacts import acreate_table_artifact
from prefect.runtime import flow_run
from prefect.states import Completed
from prefect_dask import DaskTaskRunner
from pydantic import Field

from flows.api_outage import best_effort
from flows.batch import MOST, Batch, BatchOptions, HostLimits
from flows.progress import BatchProgress
from flows.run_lifecycle import cancelled, managed_run
from flows.transcribe import DEFAULT_FORMATS, DEFAULT_PARAMS
from flows.webhook import tell_webhook
from infra.cluster import open_cluster
from longform.errors import BatchFailedError, LongformError
from longform.params import TranscribeParams
from longform.reprocess.batch_report import BatchReport, Cost, FileRecord, headline, table, totals
from longform.reprocess.documents import FetchContext
from longform.reprocess.previous_results import now_utc
from longform.reprocess.request import Select, SourceLists
from longform.reprocess.selection import Candidate, Chooser, Chosen, EngineChoices, planned
from longform.transcript.write import check_writable, require_formats
from tasks.stages import choose_files, list_sources, write_report


def run_name() -> str:
    """Name a run after what it selects; what it is given may carry signatures."""
    dry = " (dry run)" if flow_run.parameters.get("dry_run") else ""
    return f"reprocess {flow_run.parameters.get('select', '')}{dry}"


@flow(
    name="reprocess",
    flow_run_name=run_name,
    task_runner=DaskTaskRunner(cluster_class=open_cluster),
    persist_result=False,
    **tell_webhook,
)
async def reprocess(
    sources: tuple[str, ...] = (),
    manifest: str | None = None,
    glob: str | None = None,
    feed: str | None = None,
    select: Select = "missing",
    params: TranscribeParams = DEFAULT_PARAMS,
    output_dir: str | None = None,
    output_formats: tuple[str, ...] = DEFAULT_FORMATS,
    limit: Annotated[int | None, Field(ge=1)] = None,
    dry_run: bool = False,
    files_in_flight: Annotated[int | None, Field(ge=1, le=MOST)] = None,
    compare: bool = False,
    use_cache: bool = True,
) -> BatchReport:
    """Transcribe many recordings: those of several lists that have no good transcript yet.

    Args:
        sources: Recordings: http(s) or object store URLs, or paths.
        manifest: List of recordings (.txt, .csv or .jsonl) at a path or URL. A .csv or .jsonl may
            give each file parameters of its own.
        glob: Pattern of recordings, such as s3://bucket/shows/**/*.mp3.
        feed: Podcast feed (RSS or Atom) whose episodes are taken.
        select: Which of them: without a transcript (missing); whose source, parameters or model
            differ from those of their transcript (outdated); that failed or are incomplete
            (failed); or all.
        params: Parameters of every file that brings none of its own.
        output_dir: Folder or fsspec URL for the files. Empty: as configured.
        output_formats: Files to write: srt, vtt, txt, tsv, html, diarized_json. JSON is always
            written, since a later run reads it.
        limit: At most so many of the selected files. Empty: all of them.
        dry_run: Only report what would be done and why. Opens no cluster.
        files_in_flight: Files that are open at a time (1-64). Empty: as many as the cluster runs
            chunks at a time, and at least 4. Of those the shortest comes first.
        compare: Write a page with the changes of the text beside each transcript that is replaced.
        use_cache: Take chunks that an earlier run has finished from the cache.

    Raises:
        BatchFailedError: files were tried, and all of them failed.
        LongformError: a list cannot be read, or what is wrong concerns all files.
    """
    started_at, started_sec = now_utc(), time.monotonic()
    lists = SourceLists(sources=sources, manifest=manifest, glob=glob, feed=feed)
    records: list[FileRecord] = []
    stopped: LongformError | None = None
    progress = BatchProgress()
    async with managed_run("reprocess", f"reprocess {select}", progress) as run:
        target = run.output_target(output_dir)
        require_formats(output_formats)
        if not dry_run:
            await asyncio.to_thread(check_writable, target)
        fetch = FetchContext(run.policy, run.scratch.local_dir)
        entries = await list_sources(lists, fetch)
        progress.stage(f"looking at {len(entries)} files")
        host_limit = await HostLimits.read()
        chooser = Chooser(select, params, target, fetch, EngineChoices(run.settings), host_limit)
        candidates = await choose_files(chooser, entries, limit)
        if not dry_run:
            wanted = BatchOptions(output_formats, with_changes=compare, use_cache=use_cache)
            batch = Batch(run, host_limit, wanted, records)
            stopped = await batch.run(only_chosen(candidates), files_in_flight)
        report = BatchReport(
            select=select,
            dry_run=dry_run,
            files=merged(candidates, records, stopped),
            cost=sum((record.cost for record in records), Cost()),
            started_at=started_at,
            duration_sec=time.monotonic() - started_sec,
            run_url=progress.run_url,
            stopped=str(stopped or ""),
        )
        report = await published(report, target, run.run_id)
        run.record.update(
            state="failed" if stopped else "incomplete" if report.num_failed else "complete",
            error=report.stopped,
            files=(report.address,) if report.address else (),
            ended_at_unix_sec=time.time(),
        )
        progress.stage("done")
        if stopped is not None:
            raise stopped
        return ended(report)
    return cast("BatchReport", cancelled())


def only_chosen(candidates: Sequence[Candidate]) -> list[Chosen]:
    """Return the files that are taken."""
    return [candidate for candidate in candidates if isinstance(candidate, Chosen)]


def merged(
    candidates: Sequence[Candidate], records: Sequence[FileRecord], stopped: LongformError | None
) -> tuple[FileRecord, ...]:
    """Return one record for each file, in the order of the lists."""
    done = {record.number: record for record in records}
    left = {"outcome": "not_reached", "reason": "the run ended before"} if stopped else {}
    return tuple(
        done.get(candidate.number) or planned(candidate).model_copy(update=left)
        if isinstance(candidate, Chosen)
        else candidate
        for candidate in candidates
    )


async def published(report: BatchReport, target: str, run_id: str) -> BatchReport:
    """Write the report beside the transcripts and show it as a table; return it with its address.

    Raises:
        OutputError: it cannot be written, and nothing else was wrong.
    """
    if not report.dry_run:
        try:
            report = await write_report(report, target, run_id)
        except LongformError:
            if not report.stopped:
                raise
    lines = (headline(report), totals(report), report.address, report.stopped)
    await best_effort(
        lambda: acreate_table_artifact(
            table(report),
            key="reprocess-report",
            description="\n\n".join(line for line in lines if line),
        )
    )
    return report


def ended(report: BatchReport) -> BatchReport:
    """Return what ends the run: its state says how many files failed.

    A run in which some failed has done its work, and is Completed under a name of its own, which
    an automation can watch for.

    Raises:
        BatchFailedError: all that were tried failed; with the report.
    """
    line = headline(report)
    is_of_use = report.count("transcribed", "damaged", "skipped", "would_transcribe")
    if report.num_failed and not is_of_use:
        raise BatchFailedError(f"{line}; the first: {first_reason(report)}", report)
    name = "CompletedWithFailures" if report.num_failed else None
    state: Any = Completed(name=name, message=line, data=report)
    # Prefect takes a returned state for the run's own, and gives callers its data.
    return cast("BatchReport", state)


def first_reason(report: BatchReport) -> str:
    """Return the first file that failed, and why."""
    first = next(record for record in report.files if record.outcome in ("failed", "incomplete"))
    return f"{first.source}: {first.reason}"
