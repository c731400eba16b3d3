"""Stage `attach`: the recording for the HTML page."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from longform import attach as domain
from longform.media.recording import Recording
from longform.transcript.page.material import PageMedia


@task(name="attach", task_run_name="attach {recording.source.name}", cache_policy=NO_CACHE)
async def attach_recording(recording: Recording) -> PageMedia:
    """Read the recording once more when it is small, or link to it."""
    return await domain.attach_recording(recording)
