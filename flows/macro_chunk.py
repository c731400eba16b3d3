"""What runs on a worker of the cluster: one macro chunk, as a subflow that the UI shows.

The parent submits `run_macro_chunk`, which calls the subflow `macro_chunk`, which calls the task
`transcribe_chunk`. Without subflows it submits `run_without_subflow`: one task run, and no more.

Prefect pickles a task that is submitted with all that its function names. So these name one
function each, which Dask finds in this module.
"""

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows.api_outage import picklable_errors
from infra.chunk_events import publisher
from infra.worker_cancellation import stoppable
from longform.media.sources import signed_urls
from longform.media.sources.signed_urls import Credential
from longform.pipeline.chunk_job import ChunkEnding, MacroChunkJob
from longform.settings import Settings
from tasks.retries import retrying
from tasks.stages import transcribe_chunk


@task(name="macro_chunk", task_run_name="{job.label}", cache_policy=NO_CACHE, persist_result=False)
async def run_macro_chunk(job: MacroChunkJob, address: Credential | None) -> ChunkEnding:
    """Run the subflow inside a worker of the cluster."""
    return await _in_subflow(job, address)


@task(
    name="macro_chunk",
    task_run_name="{job.label}",
    cache_policy=NO_CACHE,
    persist_result=False,
    **retrying,
)
async def run_without_subflow(job: MacroChunkJob, address: Credential | None) -> ChunkEnding:
    """Transcribe in the one task run that the parent has submitted: less to pay for."""
    return await _in_this_task(job, address)


@flow(name="macro_chunk", flow_run_name="{job.label}", persist_result=False)
async def macro_chunk(job: MacroChunkJob) -> ChunkEnding:
    """Transcribe one macro chunk and keep its result."""
    return await transcribe_chunk(job, Settings(), publisher(job.run_id))


async def _in_subflow(job: MacroChunkJob, address: Credential | None) -> ChunkEnding:
    # Prefect stores the parameters of a subflow, so a signed address comes beside the job.
    signed_urls.register(address)
    with stoppable(job.execution):
        return await picklable_errors(macro_chunk(job))


async def _in_this_task(job: MacroChunkJob, address: Credential | None) -> ChunkEnding:
    signed_urls.register(address)
    with stoppable(job.execution):
        return await transcribe_chunk.fn(job, Settings(), publisher(job.run_id))
