"""Stage `choice`: which of the recordings a bulk run takes, and why."""

from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from longform.reprocess.choice import Chooser, Verdict
from longform.reprocess.item import Entry


@task(name="choice", task_run_name="choice {chooser.select}", cache_policy=NO_CACHE)
async def choose_files(
    chooser: Chooser, entries: Sequence[Entry], limit: int | None
) -> list[Verdict]:
    """Judge each recording by what lies at its place."""
    return await chooser.choose(entries, limit)
