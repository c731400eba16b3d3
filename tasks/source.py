"""Stage `source`: check the address and pin what lies behind it.

The domain retries requests by itself, so another round of retries here would only make a
user wait a minute to hear that a host refuses.
"""

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from longform.media import source as domain
from longform.media.policy import SourcePolicy
from longform.media.source import Source


@task(name="source_check", task_run_name="source_check {source.name}", cache_policy=NO_CACHE)
async def require_unchanged(source: Source, policy: SourcePolicy) -> None:
    """Make sure, after the last read, that the source is the one that was opened."""
    await domain.require_unchanged(source, policy)


@task(name="source", task_run_name="source", cache_policy=NO_CACHE)
async def open_source(media_url: str, policy: SourcePolicy, scratch_dir: Path) -> Source:
    """Open the source: policy, validators, fingerprint."""
    return await domain.open_source(media_url, policy, scratch_dir)
