"""The middle of the pipeline: every macro chunk planned, then taken from the store or transcribed.

The first chunk is on its way before the last is planned.
"""

import asyncio
from collections.abc import AsyncIterator, Container
from contextlib import AsyncExitStack

import dask

from flows.dispatch import ChunkDispatcher, result_of
from flows.run_lifecycle import RunContext, end
from infra.clusters.workers import IO
from longform.chunking.macro import Split
from longform.media.sources import signed_urls
from longform.pipeline.chunk_outcomes import ChunkOutcomes
from longform.pipeline.planning import (
    Plan,
    PlannedChunk,
    plan_key,
    sequential_chunks,
    windowed_chunks,
)
from longform.pipeline.recording_run import RecordingRun, plan_store
from longform.transcript.channels import ChannelChunks
from tasks.stages import find_split


async def transcribe_chunks(recording: RecordingRun, run: RunContext) -> ChunkOutcomes:
    """Plan the recording and transcribe what the store does not have, channel beside channel.

    Nothing is submitted, no cluster opened and no model loaded where every chunk is in the store.

    Raises:
        LongformError: what no chunk would be spared: the cluster or a store is gone.
    """
    channels = recording.by_channel()
    total_samples = recording.recording.media.num_samples_estimate
    run.progress.channels([one.channel for one in channels], total_samples)
    with run.cluster.listening(run.run_id, run.progress.chunk_event):
        started = [asyncio.create_task(_transcribe_channel(one, run)) for one in channels]
        watching = asyncio.create_task(run.cluster.watch())
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
            for one, each in zip(channels, dispatchers, strict=True)
        ),
        errors=tuple(error for each in dispatchers for error in each.errors),
        cached_keys=frozenset(key for each in dispatchers for key in each.cached_keys),
        splits=tuple(split for each in dispatchers for split in each.splits),
        engine_sec=sum(each.engine_sec for each in dispatchers),
        dashboard_url=run.cluster.dashboard_url,
    )


async def _transcribe_channel(recording: RecordingRun, run: RunContext) -> ChunkDispatcher:
    plans, store = plan_store(run.settings.chunk_store_url), run.store
    key = plan_key(recording.recording, recording.params)
    known = await asyncio.to_thread(plans.get, key) if recording.use_cache else None
    cached = await asyncio.to_thread(recording.cached, known, store) if known else {}
    if known:
        run.progress.expect(len(known.chunks), known.total_samples, recording.channel)
    planned: list[PlannedChunk] = []
    async with AsyncExitStack() as stack:
        if known is None or len(cached) < len(known.chunks):
            run.cluster.start(recording.engine)
        dispatcher = await stack.enter_async_context(
            ChunkDispatcher(run, recording.channel, recording.order)
        )
        async for chunk in planned_chunks(recording, run, known, cached):
            planned.append(chunk)
            dispatcher.note_split(chunk.split)
            job = recording.job(chunk)
            hit = cached.get(chunk.index)
            if hit is None and recording.use_cache and known is None:
                hit = await asyncio.to_thread(store.get, job.key)
            if hit is None:
                await dispatcher.submit(job)
            else:
                dispatcher.take_cached(hit)
        plan = Plan(access=recording.recording.media.access, chunks=tuple(planned))
        await asyncio.to_thread(plans.put, key, plan)
        run.progress.expect(len(plan.chunks), plan.total_samples, recording.channel)
    return dispatcher


def planned_chunks(
    recording: RecordingRun,
    run: RunContext,
    known: Plan | None,
    done: Container[int],
) -> AsyncIterator[PlannedChunk]:
    """Yield the chunks of a recording in order, each as soon as its audio can be read.

    Args:
        recording: the recording, or one channel of it.
        run: has the cluster on which boundaries are searched, and the spool.
        known: the plan of an earlier run, which saves the search for boundaries.
        done: chunks of `known` whose results are in the store, so that no audio is needed.
    """

    async def find(boundary_sample: int) -> Split:
        await run.cluster.client()
        address = signed_urls.credential_for(recording.recording.source.url)
        with dask.annotate(resources={IO: 1}, priority=-recording.order):
            future = find_split.submit(
                recording.recording, boundary_sample, recording.params, address
            )
        return await result_of(future)

    windowed = recording.recording.media.access == "windowed"
    if known is not None and (windowed or all(chunk.index in done for chunk in known.chunks)):
        return _replay(known)
    if windowed:
        return windowed_chunks(recording.recording, recording.params, find)
    return sequential_chunks(recording.recording, recording.params, run.scratch.spool, skip=done)


async def _replay(plan: Plan) -> AsyncIterator[PlannedChunk]:
    for chunk in plan.chunks:
        yield chunk
