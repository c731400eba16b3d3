"""Stage `diarize`: who speaks when in the whole recording."""

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from longform.media.recording import Recording
from longform.params import DiarizeParams
from longform.settings import Settings
from longform.speakers import diarize as domain
from longform.speakers.turns import SpeakerTurns
from tasks.retries import retrying


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
    diarizer = domain.load_diarizer(settings)
    return await domain.find_speakers(
        recording, params, diarizer, settings.chunk_store_url, scratch_dir, use_cache=use_cache
    )
