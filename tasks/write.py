"""Stage `write`: the transcript as files."""

import asyncio
from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from longform.transcript import write as domain
from longform.transcript.output import TranscribeOutput


@task(name="write", task_run_name="write", cache_policy=NO_CACHE)
async def write_outputs(
    output: TranscribeOutput, formats: Sequence[str], target: str
) -> TranscribeOutput:
    """Write the files; return the output that names them."""
    return await asyncio.to_thread(domain.write_outputs, output, formats, target)
