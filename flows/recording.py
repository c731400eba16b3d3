"""The pipeline: what one recording takes, from its address to its transcript; of every flow."""

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from flows.chunks import transcribe_chunks
from flows.run_lifecycle import RunContext
from longform.audio import clock
from longform.errors import SourceChangedError
from longform.media.model import Recording
from longform.media.shared_blocks import discard_blocks
from longform.params import TranscribeParams
from longform.pipeline.chunk_outcomes import ChunkOutcomes
from longform.pipeline.recording_run import RecordingRun
from longform.speakers.diarize import load_diarizer
from longform.speakers.turns import Turn
from longform.speech.engine import EngineSpec
from longform.transcript.output import TranscribeOutput
from longform.transcript.page_material import NO_MEDIA
from tasks.stages import (
    attach_recording,
    choose_engine,
    find_speakers,
    join,
    open_source,
    probe,
    require_unchanged,
)


@dataclass(frozen=True, slots=True)
class Transcribed:
    """A transcript that is yet to be written, and what became of the chunks it is made of."""

    output: TranscribeOutput
    outcomes: ChunkOutcomes


async def transcribe_recording(
    media_url: str,
    params: TranscribeParams,
    run: RunContext,
    *,
    use_cache: bool = True,
    with_page: bool = True,
    engine: EngineSpec | None = None,
) -> Transcribed:
    """Transcribe one recording; nothing is written but chunk results.

    Args:
        media_url: path or URL, in full or sealed.
        params: what to transcribe and how.
        run: settings, cluster, folders, and who is told of every step.
        use_cache: whether chunks of earlier runs are taken.
        with_page: whether the HTML page is wanted, which needs the recording once more.
        engine: which has been chosen for `params`; None: it is chosen here.

    Raises:
        LongformError: the recording cannot be used, or not one chunk of it came through.
    """
    started_sec = time.monotonic()
    settings, policy, progress = run.settings, run.policy, run.progress
    with ExitStack() as ending:
        if params.diarize.enabled:
            load_diarizer(settings)  # its models are missing now or never
        source = await open_source(media_url, policy, run.scratch.local_dir)
        ending.callback(discard_blocks, policy.block_dir, source.blocks)
        media = await probe(source, policy, params.audio_stream)
        progress.expect(None, media.num_samples_estimate)
        recording = RecordingRun(
            run_id=run.run_id,
            recording=Recording(source=source, media=media, policy=policy, ffmpeg=settings.ffmpeg),
            params=params,
            engine=engine or await choose_engine(params, settings),
            chunk_store_url=settings.chunk_store_url,
            order=media.num_samples_estimate or sys.maxsize,
            use_cache=use_cache,
        )
        progress.stage("transcribing")
        outcomes = await transcribe_chunks(recording, run)
        raise_if_changed(outcomes)
        await require_unchanged(source, policy)
        media_link = await attach_recording(recording.recording) if with_page else NO_MEDIA
        raise_if_nothing(outcomes)
        turns = await speaker_turns(recording, run)
    progress.stage("writing")
    duration_sec = time.monotonic() - started_sec
    output = await join(recording, outcomes, turns, duration_sec, media_link)
    return Transcribed(output.model_copy(update={"run_url": progress.run_url}), outcomes)


def raise_if_changed(outcomes: ChunkOutcomes) -> None:
    """Of a source that changed while it was read no transcript is made, not even a part of one."""
    for error in outcomes.errors:
        if isinstance(error, SourceChangedError):
            raise error


def raise_if_nothing(outcomes: ChunkOutcomes) -> None:
    """Where not one chunk came through, the reason of the first is the reason of the run."""
    if outcomes.errors and not outcomes.results:
        raise outcomes.errors[0]


async def speaker_turns(recording: RecordingRun, run: RunContext) -> Sequence[Turn]:
    """Return who speaks when, where that was asked for."""
    if not recording.params.diarize.enabled:
        return ()
    run.progress.stage("telling speakers apart")
    found = await find_speakers(
        recording.recording,
        recording.params.diarize,
        run.settings,
        run.scratch.local_dir,
        use_cache=recording.use_cache,
    )
    return found.turns


def missing(outcomes: ChunkOutcomes) -> str:
    """Return in one line what is missing, why, and what to do."""
    return (
        f"the transcript is incomplete: {gaps(outcomes)}; "
        "the rest has been written, and another run tries only what is missing"
    )


def gaps(outcomes: ChunkOutcomes) -> str:
    """Return in one line which chunks failed, and why."""
    places = ", ".join(
        f"{_named(channel.channel)}{clock(gap.span.start_sample)}-{clock(gap.span.end_sample)} "
        f"({gap.reason})"
        for channel in outcomes.channels
        for gap in channel.failures
    )
    total = len(outcomes.failures) + len(outcomes.results)
    return f"{len(outcomes.failures)} of {total} chunks failed: {places}"


def _named(channel: int | None) -> str:
    return "" if channel is None else f"channel {channel} "
