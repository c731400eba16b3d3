"""Stage `sources`: the recordings that the lists of a bulk run name."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from longform.reprocess import sources as domain
from longform.reprocess.documents import Desk
from longform.reprocess.item import Entry
from longform.reprocess.request import SourceLists


@task(name="sources", task_run_name="sources", cache_policy=NO_CACHE)
async def list_sources(lists: SourceLists, desk: Desk) -> list[Entry]:
    """Read the lists; each recording once, in order."""
    return await domain.list_sources(lists, desk)
