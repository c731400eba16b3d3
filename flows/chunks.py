"""The middle of the flow: every macro chunk planned, taken from the cache or transcribed."""

import asyncio
from collections.abc import AsyncIterator, Container
from contextlib import AsyncExitStack
from dataclasses import dataclass

from flows.dispatch import ChunkDispatcher, result
from flows.progress import ChannelProgress, RecordingProgress
from flows.run_cluster import RunCluster
from flows.run_lifecycle import end
from infra.cluster import IO
from longform.chunking.macro import Split
from longform.media.sources import signed_urls
from longform.media.spool import WorkRun
from longform.pipeline.chunk_cache import ChunkStore
from longform.pipeline.planning import (
    Plan,
    PlannedChunk,
    plan_key,
    sequential_chunks,
    windowed_chunks,
)
from longform.pipeline.recording_run import Run, plan_store
from longform.settings import Settings
from longform.transcript.channels import ChannelChunks
from longform.transcript.join import FailedSpan
from longform.transcript.segment import ChunkResult
from tasks.stages import find_split


@dataclass(frozen=True, slots=True)
class ChunkOutcomes:
    """What became of every macro chunk of a recording."""

    channels: tuple[ChannelChunks, ...]
    errors: tuple[BaseException, ...]  # in the order in which they came
    num_cached: int
    cached_keys: frozenset[str] = frozenset()
    splits: tuple[Split, ...] = ()  # the boundaries between the chunks, channel after channel
    dashboard_url: str = ""  # of the Dask cluster; empty where none was needed
    engine_sec: float = 0.0  # that the chunks took which were not cached

    @property
    def results(self) -> tuple[ChunkResult, ...]:
        """The results of all channels."""
        return tuple(result for channel in self.channels for result in channel.results)

    @property
    def fresh(self) -> tuple[ChunkResult, ...]:
        """The results that this run has worked for."""
        return tuple(result for result in self.results if result.key not in self.cached_keys)

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
    with cluster.listening(run.run_id, progress.chunk_event):
        started = [
            asyncio.create_task(_transcribe_channel(one, cluster, settings, lane, spool, use_cache))
            for one, lane in zip(runs, lanes, strict=True)
        ]
        watching = asyncio.create_task(cluster.watch())
        try:
            # The first failure is that of the run.
            done, _ = await asyncio.wait(
                (asyncio.gather(*started), watching), return_when=asyncio.FIRST_COMPLETED
            )
            for ended in done:
                ended.result()
        finally:
            await end([*started, watching])
    dispatchers = [task.result() for task in started]
    return ChunkOutcomes(
        channels=tuple(
            ChannelChunks(one.channel, tuple(each.results), tuple(each.failures))
            for one, each in zip(runs, dispatchers, strict=True)
        ),
        errors=tuple(error for each in dispatchers for error in each.errors),
        num_cached=sum(each.num_cached for each in dispatchers),
        cached_keys=frozenset(key for each in dispatchers for key in each.cached_keys),
        splits=tuple(split for each in dispatchers for split in each.splits),
        dashboard_url=cluster.dashboard_url,
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
            dispatcher.note_split(chunk.split)
            job = run.job(chunk)
            hit = cached.get(chunk.index)
            if hit is None and use_cache and known is None:
                hit = await asyncio.to_thread(store.get, job.key)
            await (dispatcher.submit(job) if hit is None else dispatcher.take_cached(hit))
        plan = Plan(access=run.recording.media.access, chunks=tuple(planned))
        await asyncio.to_thread(plans.put, key, plan)
        progress.expect(len(plan.chunks), plan.total_samples)
    return dispatcher


# Stage `plan` inside a run: chunks become known one by one, and are dispatched as they do.


def planned_chunks(
    run: Run, cluster: RunCluster, spool: WorkRun, known: Plan | None, done: Container[int]
) -> AsyncIterator[PlannedChunk]:
    """Yield the chunks of a recording in order, each as soon as its audio can be read.

    Args:
        known: the plan of an earlier run, which saves the search for boundaries.
        done: chunks of `known` whose results are in the store, so that no audio is needed.
    """

    async def find(boundary_sample: int) -> Split:
        sender = await cluster.sender()
        future = sender.send(
            find_split,
            {
                "recording": run.recording,
                "boundary_sample": boundary_sample,
                "params": run.params,
                "address": signed_urls.entry(run.recording.source.url),
            },
            resources={IO: 1},
            priority=-run.order,
        )
        return await result(future)

    windowed = run.recording.media.access == "windowed"
    if known is not None and (windowed or all(chunk.index in done for chunk in known.chunks)):
        return _replay(known)
    if windowed:
        return windowed_chunks(run.recording, run.params, find)
    return sequential_chunks(run.recording, run.params, spool, skip=done)


async def _replay(plan: Plan) -> AsyncIterator[PlannedChunk]:
    for chunk in plan.chunks:
        yield chunk
