"""Stage `probe`: what the source holds, and how its audio can be read."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from longform.media import probe as domain
from longform.media.policy import SourcePolicy
from longform.media.probe import Media
from longform.media.source import Source


@task(name="probe", task_run_name="probe {source.name}", cache_policy=NO_CACHE)
async def probe(
    source: Source, policy: SourcePolicy, ffmpeg: str | None, audio_stream: int | None
) -> Media:
    """Read container, streams, duration and access mode."""
    return await domain.probe(source, policy, ffmpeg, audio_stream)
