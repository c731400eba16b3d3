"""The capacity model: what must hold of it whatever was measured."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.capacity import (
    CHUNK_SEC,
    SUBFLOWS,
    TASKS,
    WAYS,
    Fleet,
    Way,
    demand,
    pace,
    scale_out_table,
    table,
    wall_sec,
    workers_for,
)

fleets = st.builds(
    Fleet,
    workers=st.integers(1, 64),
    chunk_work_sec=st.floats(0.1, 600),
    flows=st.integers(1, 16),
    cores=st.one_of(st.none(), st.floats(1, 128)),
    startup_sec=st.floats(0, 100),
)
ways = st.sampled_from(sorted(WAYS.values(), key=str))


@given(fleet=fleets, way=ways, chunks=st.integers(1, 100_000))
def test_no_part_is_outrun(fleet: Fleet, way: Way, chunks: int) -> None:
    """A run is never shorter than the start-up and what the slowest part needs."""
    shortest_sec = fleet.startup_sec + chunks / pace(fleet, way).chunks_per_sec
    assert wall_sec(chunks, fleet, way) >= shortest_sec * (1 - 1e-9)


@given(fleet=fleets, way=ways, chunks=st.integers(1, 10_000))
def test_more_of_anything_never_takes_longer(fleet: Fleet, way: Way, chunks: int) -> None:
    """Another worker or flow shortens a run or leaves it as it is; another chunk does not."""
    took_sec = wall_sec(chunks, fleet, way)
    assert wall_sec(chunks, replace(fleet, workers=fleet.workers + 1), way) <= took_sec
    assert wall_sec(chunks, replace(fleet, flows=fleet.flows + 1), way) <= took_sec
    assert wall_sec(chunks + 1, fleet, way) >= took_sec


def test_an_engine_that_sleeps_scales_until_something_else_is_full() -> None:
    """64 chunks of 10 s: halved with every doubling, and no faster than the machine around them."""
    fleet = Fleet(1, 10.0, cores=2.0, startup_sec=0.0)
    assert wall_sec(64, fleet, TASKS) == pytest.approx(640)
    assert wall_sec(64, replace(fleet, workers=16), TASKS) == pytest.approx(40)
    crowd = replace(fleet, workers=64, chunk_work_sec=0.1)
    assert wall_sec(64, crowd, SUBFLOWS) == pytest.approx(64 * SUBFLOWS.cpu_sec / 2)
    assert pace(crowd, SUBFLOWS).slowest == "machine"


def test_a_part_of_a_round_is_a_round() -> None:
    """Nine chunks on eight workers take as long as sixteen."""
    fleet = Fleet(8, 100.0, startup_sec=5.0)
    assert wall_sec(9, fleet, SUBFLOWS) == wall_sec(16, fleet, SUBFLOWS) == pytest.approx(205)


@given(hours=st.floats(1, 1e6), way=ways)
def test_demand_is_linear(hours: float, way: Way) -> None:
    """Ten times the audio asks for ten times of everything, but for one rounded chunk."""
    one, ten = demand(hours, way), demand(10 * hours, way)
    assert ten.num_chunks == pytest.approx(10 * one.num_chunks, abs=10)
    assert ten.source_bytes == pytest.approx(10 * one.source_bytes)
    assert one.rows == pytest.approx(one.num_chunks * way.rows)


@given(hours=st.floats(10, 10_000), times_real_time=st.floats(1, 500))
def test_enough_workers_are_enough(hours: float, times_real_time: float) -> None:
    """The engines that are asked for do the work in the time, but for one more round."""
    fleet = Fleet(1, CHUNK_SEC / times_real_time, flows=100)
    night_sec = 36_000.0
    enough = replace(fleet, workers=workers_for(hours, night_sec, fleet))
    chunks = demand(hours, TASKS).num_chunks
    rounds_sec = enough.startup_sec + chunks / pace(enough, TASKS).engines
    assert rounds_sec <= night_sec * (1 + 1e-9)


def test_the_tables_have_a_cell_in_every_column() -> None:
    """Markdown rows of one length, and an empty place for what is measured."""
    fleet = Fleet(8, 3.0)
    for rows in (list(table(1_000, fleet)), list(scale_out_table(64, fleet, SUBFLOWS))):
        assert len({row.count("|") for row in rows}) == 1
    assert all(row.endswith("| |") for row in list(scale_out_table(64, fleet, SUBFLOWS))[2:])
