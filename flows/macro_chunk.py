"""The subflow `macro_chunk`: one macro chunk, visible in the UI as a run of its own."""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.utilities.annotations import quote

from flows.api_outage import travelling
from infra.chunk_events import publisher
from infra.worker_cancellation import stoppable
from longform.media.sources import signed_urls
from longform.media.sources.signed_urls import Entry
from longform.pipeline.chunk_job import ChunkHeld, MacroChunkJob
from longform.settings import Settings
from longform.transcript.segment import ChunkResult
from tasks.retries import retrying
from tasks.stages import transcribe_chunk
from tasks.unsearched import unsearched


@flow(name="macro_chunk", flow_run_name="{job.label}", persist_result=False)
async def macro_chunk(job: MacroChunkJob) -> quote:
    """Transcribe one macro chunk and keep its result."""
    result = await transcribe_chunk(unsearched(job), Settings(), publisher(job.run_id))
    return quote(result)  # or Prefect would look for futures in every word of it


@task(name="macro_chunk", task_run_name="{job.label}", cache_policy=NO_CACHE, persist_result=False)
async def chunk_as_subflow(job: MacroChunkJob, address: Entry | None) -> ChunkResult | ChunkHeld:
    """Run the subflow inside a worker of the cluster; this is what the parent sends."""
    with _at_work(job, address):
        result: ChunkResult | ChunkHeld = (await travelling(macro_chunk(job))).unquote()
        return result


@task(
    name="macro_chunk",
    task_run_name="{job.label}",
    cache_policy=NO_CACHE,
    persist_result=False,
    **retrying,
)
async def chunk_as_task(job: MacroChunkJob, address: Entry | None) -> ChunkResult | ChunkHeld:
    """Transcribe one macro chunk in the one task run that the parent sends: less to pay for."""
    with _at_work(job, address):
        return await transcribe_chunk.fn(job, Settings(), publisher(job.run_id))


@contextmanager
def _at_work(job: MacroChunkJob, address: Entry | None) -> Iterator[None]:
    # Prefect stores the parameters of the subflow, so a signed address comes beside the job.
    signed_urls.enter(address)
    with stoppable(job.execution):
        yield
