"""Stage `plan`: one search for one macro boundary."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from longform import plan as domain
from longform.chunking.macro import Split
from longform.media.address_book import Entry
from longform.media.recording import Recording
from longform.params import TranscribeParams
from tasks.retries import retrying


@task(
    name="find_split",
    task_run_name="find_split {boundary_sample}",
    cache_policy=NO_CACHE,
    **retrying,
)
async def find_split(
    recording: Recording, boundary_sample: int, params: TranscribeParams, address: Entry | None
) -> Split:
    """Choose where to split near a nominal boundary (a sample on the timeline)."""
    return await domain.find_split(recording, boundary_sample, params, address)
