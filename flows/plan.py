"""Stage `plan` inside a run: chunks become known one by one, and are dispatched as they do."""

from collections.abc import AsyncIterator, Container

from flows.cluster import RunCluster
from flows.outcome import result
from infra.cluster import IO
from longform.chunking.macro import Split
from longform.media import address_book
from longform.media.work_store import WorkRun
from longform.plan import Plan, PlannedChunk, sequential_chunks, windowed_chunks
from longform.run import Run
from tasks.plan import find_split


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
                "address": address_book.entry(run.recording.source.url),
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
