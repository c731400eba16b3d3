"""The subflow `macro_chunk`: one macro chunk, visible in the UI as a run of its own."""

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows.outage import travelling
from infra.stopping import stoppable
from infra.telemetry import publisher
from longform.macro_job import ChunkHeld, MacroChunkJob
from longform.media import address_book
from longform.media.address_book import Entry
from longform.settings import Settings
from longform.transcript.segment import ChunkResult
from tasks.macro_chunk import transcribe_chunk


@flow(name="macro_chunk", flow_run_name="{job.label}", persist_result=False)
async def macro_chunk(job: MacroChunkJob) -> ChunkResult | ChunkHeld:
    """Transcribe one macro chunk and keep its result."""
    return await transcribe_chunk(job, Settings(), publisher(job.run_id))


@task(name="macro_chunk", task_run_name="{job.label}", cache_policy=NO_CACHE, persist_result=False)
async def run_macro_chunk(
    job: MacroChunkJob, address: Entry | None, *, as_subflow: bool
) -> ChunkResult | ChunkHeld:
    """Run the subflow inside a worker of the cluster; this is what the parent submits.

    Prefect stores the parameters of the subflow, so a signed address comes here, beside the job.
    """
    address_book.enter(address)
    with stoppable(job.execution):
        if as_subflow:
            return await travelling(macro_chunk(job))
        return await transcribe_chunk(job, Settings(), publisher(job.run_id))
