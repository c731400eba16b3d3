"""Stage `join`: chunk results on one timeline, with coverage and provenance."""

from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from longform.run import Run
from longform.speakers.turns import Turn
from longform.transcript.channels import ChannelChunks
from longform.transcript.output import TranscribeOutput
from longform.transcript.page.material import PageMedia


@task(name="join", task_run_name="join {run.recording.source.name}", cache_policy=NO_CACHE)
async def join(
    run: Run,
    channels: Sequence[ChannelChunks],
    turns: Sequence[Turn],
    processing_duration_sec: float,
    media: PageMedia,
) -> TranscribeOutput:
    """Join what the chunks gave into one transcript."""
    return run.transcript(channels, turns, processing_duration_sec, media)
