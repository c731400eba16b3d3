"""Replicas: how a batch is divided among the replicas of a model, and run side by side."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longform.speech.replicas import Replicas, replica_config

PATIENCE_SEC = 60


@pytest.mark.parametrize(
    ("device", "threads", "batch_size", "shape"),
    [
        ("cpu", 1, 8, (1, 1)),
        ("cpu", 2, 8, (2, 1)),
        ("cpu", 2, 4, (1, 2)),
        ("cpu", 4, 8, (2, 2)),
        ("cpu", 16, 64, (16, 1)),
        ("cpu", 4, 1, (1, 4)),
        ("cuda", 16, 64, (1, 16)),
    ],
)
def test_shape(device: str, threads: int, batch_size: int, shape: tuple[int, int]) -> None:
    """On a CPU there is a lane for every four windows of a batch, on a GPU there is one."""
    assert replica_config(device, threads, batch_size) == shape


@given(st.integers(1, 256), st.integers(1, 256))
def test_lanes_take_no_more_threads_than_there_are(threads: int, batch_size: int) -> None:
    """All lanes together have at most the threads that were given, and each has one."""
    shape = replica_config("cpu", threads, batch_size)
    assert shape.num_replicas >= 1
    assert shape.threads >= 1
    assert shape.num_replicas * shape.threads <= threads


@given(st.integers(1, 9), st.lists(st.integers(), max_size=40))
def test_every_item_has_one_lane(count: int, items: list[int]) -> None:
    """The parts make the whole, none is empty, and none is longer than another by two."""
    parts = Replicas(count).share(items)
    assert [item for part in parts for item in part] == items
    assert len(parts) == min(count, len(items))
    lengths = {len(part) for part in parts}
    assert not lengths or (min(lengths) > 0 and max(lengths) - min(lengths) <= 1)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_results_are_in_order(count: int) -> None:
    """What the first item gives comes first, however long it takes."""

    def slowest_first(item: int) -> int:
        time.sleep((5 - item) / 100)
        return item

    assert Replicas(count).map(slowest_first, range(6)) == [*range(6)]


def test_lanes_work_side_by_side() -> None:
    """Calls that wait for each other all end."""
    together = threading.Barrier(3)
    assert sorted(Replicas(3).map(lambda _: together.wait(PATIENCE_SEC), range(3))) == [0, 1, 2]


@pytest.mark.parametrize("count", [1, 2])
def test_an_error_leaves_nothing_at_work(count: int) -> None:
    """The error is raised once every call has ended, so that nobody writes behind the caller."""
    running = threading.Semaphore(count)
    ended: list[int] = []

    def work(item: int) -> None:
        with running:
            if item == 0:
                raise MemoryError("no room")
            time.sleep(0.05)
            ended.append(item)

    with pytest.raises(MemoryError, match="no room"):
        Replicas(count).map(work, range(3))
    at_return = [*ended]
    time.sleep(0.2)
    assert ended == at_return
