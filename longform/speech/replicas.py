"""Replicas: the replicas of a model that work side by side on one batch.

On a CPU, one thread for each of several replicas does more than several threads on one: a step
of the decoder is too small to be worth dividing, and threads that wait for each other burn what
they were given. On two cores, a batch of 8 on one replica took 25 s and 48 CPU seconds where
two replicas with 4 each took 17 and 31 (four minutes of speech, `base`). Replicas share the
weights; a GPU has one lane, and divides the work by itself.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise
from typing import NamedTuple, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Fewer windows in a search cost more for each: 30 % at two of them.
_MIN_WINDOWS = 4


class ReplicaConfig(NamedTuple):
    """How many replicas of a model there are, and how many CPU threads each has."""

    num_replicas: int = 1
    threads: int = 1


def replica_config(device: str, threads: int, batch_size: int) -> ReplicaConfig:
    """Return the shape for a device: on a CPU as many lanes as a full batch is worth.

    Args:
        device: 'cpu' or 'cuda'.
        threads: of all lanes together; 0 takes every CPU.
        batch_size: micro chunks that are decoded at a time.
    """
    threads = threads or os.cpu_count() or 1
    num_replicas = max(1, min(threads, batch_size // _MIN_WINDOWS)) if device == "cpu" else 1
    return ReplicaConfig(num_replicas, threads // num_replicas)


class Replicas:
    """Runs calls of a model side by side, as many as it has replicas."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = ThreadPoolExecutor(count, "longform-lane") if count > 1 else None

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Return `work` of every item, in order; after an error none of them is still at work."""
        if self._pool is None:
            return [work(item) for item in items]
        calls = [self._pool.submit(work, item) for item in items]
        wait(calls)
        return [call.result() for call in calls]

    def share(self, items: Sequence[Item]) -> list[Sequence[Item]]:
        """Return the items in order, in a part for each lane; lengths differ by one at most."""
        parts = min(self.count, len(items))
        edges = [len(items) * part // parts for part in range(parts + 1)] if parts else []
        return [items[start:end] for start, end in pairwise(edges)]
