"""The middle of the flow: every macro chunk planned, taken from the cache or transcribed."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

from flows.cluster import RunCluster
from flows.dispatch import ChunkDispatcher
from flows.plan import planned_chunks
from flows.progress import ChannelProgress, RecordingProgress
from flows.termination import end
from longform.media.work_store import WorkRun
from longform.plan import Plan, PlannedChunk, plan_key
from longform.run import Run, plan_store
from longform.settings import Settings
from longform.transcript.channels import ChannelChunks
from longform.transcript.chunk_store import ChunkStore
from longform.transcript.join import FailedSpan
from longform.transcript.segment import ChunkResult


@dataclass(frozen=True, slots=True)
class ChunkOutcomes:
    """What became of every macro chunk of a recording."""

    channels: tuple[ChannelChunks, ...]
    errors: tuple[BaseException, ...]  # in the order in which they came
    num_cached: int
    engine_sec: float  # that the chunks took which were not cached

    @property
    def results(self) -> tuple[ChunkResult, ...]:
        """The results of all channels."""
        return tuple(result for channel in self.channels for result in channel.results)

    @property
    def failures(self) -> tuple[FailedSpan, ...]:
        """The failures of all channels."""
        return tuple(failure for channel in self.channels for failure in channel.failures)


async def transcribe_chunks(
    run: Run,
    cluster: RunCluster,
    settings: Settings,
    progress: RecordingProgress,
    spool: WorkRun,
    *,
    use_cache: bool,
) -> ChunkOutcomes:
    """Plan the recording and transcribe what the cache does not have, channel beside channel.

    The first chunk is on its way before the last is planned. Nothing is submitted, no
    cluster opened and no model loaded where every chunk is in the cache.
    """
    runs = run.by_channel()
    total_samples = run.recording.media.num_samples_estimate
    lanes = [progress.channel(one.channel, total_samples) for one in runs]
    with cluster.listening(run.run_id, progress.micro_done):
        started = [
            asyncio.create_task(_transcribe_channel(one, cluster, settings, lane, spool, use_cache))
            for one, lane in zip(runs, lanes, strict=True)
        ]
        try:
            done, _ = await asyncio.wait(started, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()  # the first failure is that of the run
        finally:
            await end(started)
    dispatchers = [task.result() for task in started]
    return ChunkOutcomes(
        channels=tuple(
            ChannelChunks(one.channel, tuple(each.results), tuple(each.failures))
            for one, each in zip(runs, dispatchers, strict=True)
        ),
        errors=tuple(error for each in dispatchers for error in each.errors),
        num_cached=sum(each.num_cached for each in dispatchers),
        engine_sec=sum(each.engine_sec for each in dispatchers),
    )


async def _transcribe_channel(
    run: Run,
    cluster: RunCluster,
    settings: Settings,
    progress: ChannelProgress,
    spool: WorkRun,
    use_cache: bool,
) -> ChunkDispatcher:
    plans = plan_store(run.chunk_store_url)
    store = ChunkStore(run.chunk_store_url)
    key = plan_key(run.recording, run.params)
    known = await asyncio.to_thread(plans.get, key) if use_cache else None
    cached = await asyncio.to_thread(run.cached, known, store) if known else {}
    if known:
        progress.expect(len(known.chunks), known.total_samples)
    planned: list[PlannedChunk] = []
    async with AsyncExitStack() as stack:
        if known is None or len(cached) < len(known.chunks):
            cluster.start(run.engine)
        dispatcher = await stack.enter_async_context(
            ChunkDispatcher(cluster, store, spool, progress, settings, run.order)
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
    return dispatcher
