"""One macro chunk on the cluster, as often as it takes: through deaths, outages and other runs."""

import asyncio
from concurrent.futures import Future
from typing import Any, cast

from distributed import KilledWorker

from flows.cluster import RunCluster
from flows.macro_chunk import chunk_as_subflow, chunk_as_task
from flows.orphans import close_task_run
from flows.outage import is_outage, wait_for_api
from flows.outcome import outcome
from infra.cluster import GPU
from longform.macro_chunk import quarantined
from longform.macro_job import ChunkHeld, MacroChunkJob
from longform.settings import Settings
from longform.transcript.chunk_claims import ChunkClaims
from longform.transcript.chunk_store import ChunkStore
from longform.transcript.segment import ChunkResult

# Dask gives up a chunk after 4 deaths of workers that had it, waiting or running: a neighbour
# may have killed them. A chunk that is to blame is quarantined before its own fourth.
MAX_GIVEN_UP = 3


class ChunkAttempts:
    """Sends macro chunks to the cluster until each has an outcome of its own."""

    def __init__(
        self, cluster: RunCluster, store: ChunkStore, settings: Settings, order: int
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._settings = settings
        self._order = order

    async def outcome(self, job: MacroChunkJob) -> ChunkResult | BaseException:
        """Return the result of a chunk, or why there is none.

        While another run computes it, it takes no place on the cluster.
        """
        claims = ChunkClaims(job.chunk_store_url)
        if not job.use_cache:
            await asyncio.to_thread(claims.forgive, job.key)
        given_up = 0
        while True:
            waited = await claims.wait_until_free(job.key, job.execution)
            if waited and job.use_cache:
                result = await asyncio.to_thread(self._store.get, job.key)
                if result is not None:
                    await asyncio.to_thread(claims.forgive, job.key)
                    return result
            deaths = await asyncio.to_thread(claims.settle, job.key, job.execution)
            if deaths.is_quarantined:
                return quarantined(deaths)
            ended = await self._attempt(job)
            if isinstance(ended, KilledWorker):
                given_up += 1
                if given_up > MAX_GIVEN_UP:
                    return cast(BaseException, ended)
            elif isinstance(ended, ChunkResult) or (
                not isinstance(ended, ChunkHeld) and not (is_outage(ended) and await wait_for_api())
            ):
                return ended

    async def _attempt(self, job: MacroChunkJob) -> ChunkResult | ChunkHeld | BaseException:
        sender = await self._cluster.sender()
        future = sender.send(
            chunk_as_subflow if self._settings.subflows else chunk_as_task,
            {"job": job, "address": job.address},
            resources={GPU: 1 / self._settings.slots_per_worker},
            priority=-self._order,
        )
        try:
            return await outcome(future)
        except asyncio.CancelledError:
            dask_future: Future[Any] = future.wrapped_future
            dask_future.cancel()  # it may not have started yet
            await asyncio.shield(
                close_task_run(future.task_run_id, "the run has ended", cancelled=True)
            )
            raise
