"""At most so many files at a time from one host, where the operator has made such a limit.

A limit is a global concurrency limit of Prefect's, named `longform-host-` and the host (or the
bucket). It is held from the first look at a file until its last chunk is done: workers read
windows of it all that time. That is one lease per file, and no call at all for a host without.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prefect.client.orchestration import get_client
from prefect.concurrency.asyncio import concurrency
from prefect.exceptions import ObjectNotFound

PREFIX = "longform-host-"


class HostLimits:
    """The limits as they were when this run first met each host."""

    def __init__(self) -> None:
        self._known: dict[str, asyncio.Task[bool]] = {}

    @asynccontextmanager
    async def __call__(self, host: str | None) -> AsyncIterator[None]:
        """Hold a place at a host; waits for one. None, and a host without a limit, take none."""
        if host is None or not await self._is_limited(host):
            yield
            return
        # A lease that could not be renewed is no reason to throw work away.
        async with concurrency(f"{PREFIX}{host}", raise_on_lease_renewal_failure=False):
            yield

    async def _is_limited(self, host: str) -> bool:
        if host not in self._known:
            self._known[host] = asyncio.create_task(_exists(f"{PREFIX}{host}"))
        return await asyncio.shield(self._known[host])


async def _exists(name: str) -> bool:
    async with get_client() as api:
        try:
            await api.read_global_concurrency_limit_by_name(name)
        except ObjectNotFound:
            return False
    return True
