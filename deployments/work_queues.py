"""Work queues with their limits: what is scheduled must not hold up what a person waits for."""

from dataclasses import dataclass

from prefect.client.orchestration import PrefectClient
from prefect.exceptions import ObjectNotFound

from deployments.change import Change
from deployments.pools import POOLS

KIND = "work queue"


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue of every pool; runs in queues of lower `priority` numbers start first."""

    name: str
    priority: int
    concurrency_limit: int
    description: str


QUEUES = (Queue("nightly", 10, 1, "Scheduled bulk runs: one at a time, after what people start."),)


async def apply_work_queues(api: PrefectClient, *, dry_run: bool) -> list[Change]:
    """Make the queues of every pool."""
    return [
        await _apply_queue(api, pool, queue, dry_run=dry_run) for pool in POOLS for queue in QUEUES
    ]


async def _apply_queue(api: PrefectClient, pool: str, queue: Queue, *, dry_run: bool) -> Change:
    name = f"{pool}/{queue.name}"
    detail = f"at most {queue.concurrency_limit}, priority {queue.priority}"
    try:
        there = await api.read_work_queue_by_name(queue.name, work_pool_name=pool)
    except ObjectNotFound:
        if not dry_run:
            await api.create_work_queue(
                name=queue.name,
                work_pool_name=pool,
                description=queue.description,
                priority=queue.priority,
                concurrency_limit=queue.concurrency_limit,
            )
        return Change(KIND, name, "created", detail)
    if there.concurrency_limit is not None:  # ours, or what the operator has chosen instead
        return Change(KIND, name, "unchanged", f"at most {there.concurrency_limit}")
    if not dry_run:
        await api.update_work_queue(
            there.id, priority=queue.priority, concurrency_limit=queue.concurrency_limit
        )
    return Change(KIND, name, "changed", detail)
