"""The middle of the flow: every macro chunk planned, taken from the cache or transcribed."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

from flows.cluster import RunCluster
from flows.dispatch import ChunkDispatcher
from flows.plan import planned_chunks
from flows.progress import ProgressReporter
from longform.media.work_store import WorkRun
from longform.plan import Plan, PlannedChunk, plan_key
from longform.run import Run, plan_store
from longform.settings import Settings
from longform.transcript.chunk_store import ChunkStore
from longform.transcript.join import FailedSpan
from longform.transcript.segment import ChunkResult


@dataclass(frozen=True, slots=True)
class ChunkOutcomes:
    """What became of every macro chunk of a recording."""

    results: tuple[ChunkResult, ...]
    failures: tuple[FailedSpan, ...]
    errors: tuple[BaseException, ...]  # in the order in which they came
    num_cached: int


async def transcribe_chunks(
    run: Run, settings: Settings, progress: ProgressReporter, spool: WorkRun, *, use_cache: bool
) -> ChunkOutcomes:
    """Plan the recording and transcribe what the cache does not have.

    The first chunk is on its way before the last is planned. Nothing is submitted, no
    cluster opened and no model loaded where every chunk is in the cache.
    """
    plans = plan_store(run.chunk_store_url)
    store = ChunkStore(run.chunk_store_url)
    key = plan_key(run.recording, run.params)
    known = await asyncio.to_thread(plans.get, key) if use_cache else None
    cached = await asyncio.to_thread(run.cached, known, store) if known else {}
    if known:
        progress.expect(len(known.chunks), known.total_samples)
    planned: list[PlannedChunk] = []
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(RunCluster(run, settings, progress))
        if known is None or len(cached) < len(known.chunks):
            cluster.start()
        dispatcher = await stack.enter_async_context(
            ChunkDispatcher(cluster, store, spool, progress, settings)
        )
        async for chunk in planned_chunks(run, cluster, spool, known, cached):
            planned.append(chunk)
            job = run.job(chunk)
            hit = cached.get(chunk.index)
            if hit is None and use_cache and known is None:
                hit = await asyncio.to_thread(store.get, job.key)
            await (dispatcher.submit(job) if hit is None else dispatcher.take_cached(hit))
        plan = Plan(access=run.recording.media.access, chunks=tuple(planned))
        await asyncio.to_thread(plans.put, key, plan)
        progress.expect(len(plan.chunks), plan.total_samples)
    return ChunkOutcomes(
        results=tuple(dispatcher.results),
        failures=tuple(dispatcher.failures),
        errors=tuple(dispatcher.errors),
        num_cached=dispatcher.num_cached,
    )
