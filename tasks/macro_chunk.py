"""Stage `macro_chunk`: transcribe one macro chunk in a worker, and keep the result."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from longform import macro_chunk as domain
from longform.macro_chunk import OnChunkEvent
from longform.macro_job import ChunkHeld, MacroChunkJob
from longform.settings import Settings
from longform.transcript.segment import ChunkResult
from tasks.retries import retrying


@task(name="transcribe_chunk", task_run_name="{job.label}", cache_policy=NO_CACHE, **retrying)
async def transcribe_chunk(
    job: MacroChunkJob, settings: Settings, on_event: OnChunkEvent
) -> ChunkResult | ChunkHeld:
    """Transcribe `job` with this process's engine and put the result into the chunk store."""
    return await domain.run_macro_chunk(job, settings, on_event)
