"""The stages of a run as Prefect tasks: a decorator, and one call into the domain.

In the order in which a recording goes through them, then those of a bulk run and the webhook.

Opening a source and delivering a webhook retry by themselves, so their tasks do not: another
round would only make a user wait a minute to hear that a host refuses.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from longform.chunking.macro import Split
from longform.media.model import Media, Recording, Source
from longform.media.probe import probe as media_probe
from longform.media.sources import open as sources
from longform.media.sources.signed_urls import Credential
from longform.net.policy import SourcePolicy
from longform.params import DiarizeParams, TranscribeParams
from longform.pipeline import planning
from longform.pipeline import transcribe_chunk as chunks
from longform.pipeline.chunk_job import ChunkEnding, MacroChunkJob
from longform.pipeline.chunk_outcomes import ChunkOutcomes
from longform.pipeline.recording_run import RecordingRun
from longform.pipeline.transcribe_chunk import OnChunkEvent
from longform.reprocess import batch_report, replace
from longform.reprocess import sources as lists_of_sources
from longform.reprocess.batch_report import BatchReport, TextChange
from longform.reprocess.documents import FetchContext
from longform.reprocess.entry import Entry
from longform.reprocess.output_paths import OutputPath
from longform.reprocess.previous_results import FailureNote, write_failure
from longform.reprocess.request import SourceLists
from longform.reprocess.selection import Candidate, Chooser
from longform.settings import Settings
from longform.speakers import diarize
from longform.speakers.turns import SpeakerTurns, Turn
from longform.speech import engine_choice
from longform.speech.engine import EngineSpec
from longform.transcript import write
from longform.transcript.output import TranscribeOutput
from longform.transcript.page import recording_link
from longform.transcript.page_material import PageMedia
from longform.webhook import deliver as webhook
from longform.webhook.deliver import WebhookTarget
from longform.webhook.event import WebhookEvent
from tasks.retries import retrying


@task(name="source", task_run_name="source", cache_policy=NO_CACHE)
async def open_source(media_url: str, policy: SourcePolicy, scratch_dir: Path) -> Source:
    """Open the source: policy, validators, fingerprint."""
    return await sources.open_source(media_url, policy, scratch_dir)


@task(name="probe", task_run_name="probe {source.name}", cache_policy=NO_CACHE)
async def probe(source: Source, policy: SourcePolicy, audio_stream: int | None) -> Media:
    """Read container, streams, duration and access mode."""
    return await media_probe.probe(source, policy, audio_stream)


@task(name="engine_choice", task_run_name="engine_choice {params.model}", cache_policy=NO_CACHE)
async def choose_engine(params: TranscribeParams, settings: Settings) -> EngineSpec:
    """Resolve the model by name, without loading it."""
    return await asyncio.to_thread(engine_choice.choose_engine, params, settings)


@task(
    name="find_split",
    task_run_name="find_split {boundary_sample}",
    cache_policy=NO_CACHE,
    **retrying,
)
async def find_split(
    recording: Recording, boundary_sample: int, params: TranscribeParams, address: Credential | None
) -> Split:
    """Choose where to split near a nominal boundary (a sample on the timeline)."""
    return await planning.find_split(recording, boundary_sample, params, address)


@task(name="transcribe_chunk", task_run_name="{job.label}", cache_policy=NO_CACHE, **retrying)
async def transcribe_chunk(
    job: MacroChunkJob, settings: Settings, on_event: OnChunkEvent
) -> ChunkEnding:
    """Transcribe `job` with this process's engine and put the result into the chunk store."""
    return await chunks.transcribe_chunk(job, settings, on_event)


@task(name="source_check", task_run_name="source_check {source.name}", cache_policy=NO_CACHE)
async def require_unchanged(source: Source, policy: SourcePolicy) -> None:
    """Make sure, after the last read, that the source is the one that was opened."""
    await sources.require_unchanged(source, policy)


@task(name="attach", task_run_name="attach {recording.source.name}", cache_policy=NO_CACHE)
async def attach_recording(recording: Recording) -> PageMedia:
    """Read the recording once more when it is small, or link to it."""
    return await recording_link.attach_recording(recording)


@task(name="diarize", task_run_name="diarize", cache_policy=NO_CACHE, **retrying)
async def find_speakers(
    recording: Recording,
    params: DiarizeParams,
    settings: Settings,
    scratch_dir: Path,
    *,
    use_cache: bool,
) -> SpeakerTurns:
    """Find the turns of every speaker, or take them from the cache."""
    diarizer = diarize.load_diarizer(settings)
    return await diarize.find_speakers(
        recording, params, diarizer, settings.chunk_store_url, scratch_dir, use_cache=use_cache
    )


@task(name="join", task_run_name="join {run.recording.source.name}", cache_policy=NO_CACHE)
async def join(
    run: RecordingRun,
    outcomes: ChunkOutcomes,
    turns: Sequence[Turn],
    processing_duration_sec: float,
    media: PageMedia,
) -> TranscribeOutput:
    """Join what the chunks gave into one transcript."""
    return run.transcript(outcomes.channels, turns, processing_duration_sec, media)


@task(name="write", task_run_name="write", cache_policy=NO_CACHE)
async def write_outputs(
    output: TranscribeOutput, formats: Sequence[str], target: str
) -> TranscribeOutput:
    """Write the files; return the output that names them."""
    return await asyncio.to_thread(write.write_outputs, output, formats, target)


@task(name="sources", task_run_name="sources", cache_policy=NO_CACHE)
async def list_sources(lists: SourceLists, fetch: FetchContext) -> list[Entry]:
    """Read the lists; each recording once, in order."""
    return await lists_of_sources.list_sources(lists, fetch)


@task(name="choice", task_run_name="choice {chooser.select}", cache_policy=NO_CACHE)
async def choose_files(
    chooser: Chooser, entries: Sequence[Entry], limit: int | None
) -> list[Candidate]:
    """Judge each recording by what lies at its path."""
    return await chooser.choose(entries, limit)


@task(name="replace", task_run_name="replace {path.stem}", cache_policy=NO_CACHE)
async def replace_transcript(
    output: TranscribeOutput, formats: Sequence[str], path: OutputPath, *, with_page: bool
) -> tuple[TranscribeOutput, TextChange | None]:
    """Write the files in the place of older ones; return what changed in the text."""
    return await asyncio.to_thread(
        replace.replace_transcript, output, formats, path, with_page=with_page
    )


@task(name="failure", task_run_name="failure {path.stem}", cache_policy=NO_CACHE)
async def leave_failure(path: OutputPath, note: FailureNote) -> None:
    """Leave a note of a failure, which `select=failed` finds."""
    await asyncio.to_thread(write_failure, path.folder, path.stem, note)


@task(name="report", task_run_name="report", cache_policy=NO_CACHE)
async def write_report(report: BatchReport, target: str, run_id: str) -> BatchReport:
    """Write the report; return it with its address."""
    return await asyncio.to_thread(batch_report.write_report, report, target, run_id)


@task(name="webhook", task_run_name="webhook {event.type}", cache_policy=NO_CACHE)
async def deliver(event: WebhookEvent, target: WebhookTarget) -> None:
    """Send a signed event."""
    await webhook.deliver(event, target)
