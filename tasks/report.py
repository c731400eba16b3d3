"""Stage `report`: what a bulk run did, as a JSON file beside the transcripts."""

import asyncio

from prefect import task
from prefect.cache_policies import NO_CACHE

from longform.reprocess import summary as domain
from longform.reprocess.report import BatchReport


@task(name="report", task_run_name="report", cache_policy=NO_CACHE)
async def write_report(report: BatchReport, target: str, run_id: str) -> BatchReport:
    """Write the report; return it with its address."""
    return await asyncio.to_thread(domain.write_report, report, target, run_id)
