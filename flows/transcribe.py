"""The flow `transcribe`: one recording in, one transcript out."""

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Any, cast

from prefect import flow
from prefect.runtime import deployment, flow_run
from prefect.states import Completed
from prefect_dask import DaskTaskRunner
from pydantic import Field

from flows.chunks import ChunkOutcomes, transcribe_chunks
from flows.parameter_docs import with_parameter_docs
from flows.progress import ProgressReporter
from flows.summary import publish_summary
from flows.termination import cancelled_by_sigterm
from flows.webhook import tell_webhook
from infra.cluster import open_cluster
from longform.errors import IncompleteTranscriptError, SourceChangedError
from longform.macro_chunk import clock
from longform.media.block_store import discard_blocks
from longform.media.policy import shown_name
from longform.media.recording import Recording
from longform.params import TranscribeParams
from longform.plan import source_policy
from longform.run import Run
from longform.settings import Settings
from longform.speakers.diarize import load_diarizer
from longform.speakers.turns import Turn
from longform.transcript.output import TranscribeOutput
from longform.transcript.page.material import NO_MEDIA
from longform.workplace import open_workplace
from tasks.attach import attach_recording
from tasks.diarize import find_speakers
from tasks.engine_choice import choose_engine
from tasks.join import join
from tasks.probe import probe
from tasks.source import open_source, require_unchanged
from tasks.write import write_outputs

DEFAULT_PARAMS = TranscribeParams()
DEFAULT_FORMATS = ("json", "srt", "vtt", "txt", "tsv", "html")


def run_name() -> str:
    """Name a run after its recording; never after its URL, which may carry a signature."""
    return f"transcribe {shown_name(str(flow_run.parameters.get('media_url', '')))}"


@flow(
    name="transcribe",
    flow_run_name=run_name,
    task_runner=DaskTaskRunner(cluster_class=open_cluster),
    persist_result=False,
    **tell_webhook,
)
@with_parameter_docs
async def transcribe(
    media_url: Annotated[str, Field(description="Recording: http(s) or object store URL, or path")],
    params: TranscribeParams = DEFAULT_PARAMS,
    output_dir: Annotated[
        str | None, Field(description="Folder or fsspec URL for the files. Empty: as configured")
    ] = None,
    output_formats: Annotated[
        tuple[str, ...],
        Field(description="Files to write: json, srt, vtt, txt, tsv, html, diarized_json"),
    ] = DEFAULT_FORMATS,
    use_cache: Annotated[
        bool, Field(description="Take chunks that an earlier run has finished from the cache")
    ] = True,
) -> TranscribeOutput:
    """Transcribe one recording of any length, exactly, on the cluster that is configured."""
    started_sec = time.monotonic()
    settings = Settings()
    policy = source_policy(settings)
    name = shown_name(media_url)
    async with cancelled_by_sigterm(), ProgressReporter(name) as progress:
        async with open_workplace(settings) as workplace, AsyncExitStack() as ending:
            if params.diarize.enabled:
                load_diarizer(settings)  # its models are missing now or never
            source = await open_source(media_url, policy, workplace.scratch_dir)
            ending.callback(discard_blocks, policy.block_dir, source.blocks)
            media = await probe(source, policy, settings.ffmpeg, params.audio_stream)
            progress.expect(None, media.num_samples_estimate)
            run = Run(
                run_id=str(flow_run.id),
                recording=Recording(
                    source=source, media=media, policy=policy, ffmpeg=settings.ffmpeg
                ),
                params=params,
                engine=await choose_engine(params, settings),
                chunk_store_url=settings.chunk_store_url,
            )
            progress.stage("transcribing")
            outcomes = await transcribe_chunks(
                run, settings, progress, workplace.spool, use_cache=use_cache
            )
            raise_if_changed(outcomes)
            await require_unchanged(source, policy)
            media_link = (
                await attach_recording(run.recording) if "html" in output_formats else NO_MEDIA
            )
            raise_if_nothing(outcomes)
            turns = await speaker_turns(
                run, settings, progress, workplace.scratch_dir, use_cache=use_cache
            )
        progress.stage("writing")
        output = await join(
            run, outcomes.channels, turns, time.monotonic() - started_sec, media_link
        )
        output = output.model_copy(update={"run_url": progress.run_url})
        target = settings.output_target(output_dir, deployed=deployment.id is not None)
        output = await write_outputs(output, output_formats, target)
        await publish_summary(output, outcomes.results, outcomes.num_cached)
        progress.stage("done")
    return ended(conclude(output, outcomes, params))


def ended(output: TranscribeOutput) -> TranscribeOutput:
    """Return what ends the run as Completed; under a name of its own where there is damage."""
    if output.status != "complete_with_damage":
        return output
    state: Any = Completed(
        name="CompleteWithDamage",
        message=f"{output.damaged_sec:.2f} s of the recording are damaged",
        data=output,
    )
    # Prefect takes a returned state for the run's own, and gives callers its data.
    return cast("TranscribeOutput", state)


def raise_if_changed(outcomes: ChunkOutcomes) -> None:
    """Of a source that changed while it was read no transcript is made, not even a part of one."""
    for error in outcomes.errors:
        if isinstance(error, SourceChangedError):
            raise error


async def speaker_turns(
    run: Run,
    settings: Settings,
    progress: ProgressReporter,
    scratch_dir: Path,
    *,
    use_cache: bool,
) -> Sequence[Turn]:
    """Return who speaks when, where that was asked for."""
    if not run.params.diarize.enabled:
        return ()
    progress.stage("telling speakers apart")
    found = await find_speakers(
        run.recording, run.params.diarize, settings, scratch_dir, use_cache=use_cache
    )
    return found.turns


def raise_if_nothing(outcomes: ChunkOutcomes) -> None:
    """Where not one chunk came through, the reason of the first is the reason of the run."""
    if outcomes.errors and not outcomes.results:
        raise outcomes.errors[0]


def conclude(
    output: TranscribeOutput, outcomes: ChunkOutcomes, params: TranscribeParams
) -> TranscribeOutput:
    """Return the transcript, or fail the run where chunks are missing and that was not allowed.

    Raises:
        IncompleteTranscriptError: with the output that has been written, all the same.
    """
    if not outcomes.failures or params.on_chunk_failure == "partial":
        return output
    raise IncompleteTranscriptError(missing(outcomes), output)


def missing(outcomes: ChunkOutcomes) -> str:
    """Return in one line what is missing, why, and what to do."""
    places = ", ".join(
        f"{_named(channel.channel)}{clock(gap.span.start_sample)}-{clock(gap.span.end_sample)} "
        f"({gap.reason})"
        for channel in outcomes.channels
        for gap in channel.failures
    )
    total = len(outcomes.failures) + len(outcomes.results)
    return (
        f"the transcript is incomplete: {len(outcomes.failures)} of {total} chunks failed: "
        f"{places}; "
        "the rest has been written, and another run tries only what is missing"
    )


def _named(channel: int | None) -> str:
    return "" if channel is None else f"channel {channel} "
