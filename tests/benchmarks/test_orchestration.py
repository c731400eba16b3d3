"""What the benchmark of the machinery makes of two runs, and its engine."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.costless_engine import NUM_SEGMENTS, WORDS_PER_SEGMENT, create
from benchmarks.orchestration import ROLES, Run, Slope, count_lines, goal_lines, slope_table
from benchmarks.roles import DECODING, RoleCost
from longform.audio import Span
from longform.chunking.micro_chunk import MicroChunk
from longform.speech.engine import DecodeOptions, EngineSpec, MicroRequest
from longform.speech.language import LanguageVotes


def run(num_chunks: int) -> Run:
    """Return a run whose every role takes 10 s to start and 0.05 s for each chunk."""
    cost = RoleCost(10.0 + 0.05 * num_chunks, 0, 0, 10**8 + 1_000 * num_chunks)
    return Run(
        way="subflows",
        access="sequential",
        num_chunks=num_chunks,
        wall_sec=20.0 + 0.25 * num_chunks,
        roles=dict.fromkeys((*ROLES, DECODING), cost),
        calls={"GET /a": 7 + 2 * num_chunks, "GET /once": 3},
        rows={"flow_run": num_chunks},
        database_bytes=4_000 * num_chunks,
    )


def test_what_is_paid_once_is_not_in_the_slope() -> None:
    """Start-up leaves no trace in what one more chunk costs, and decoding is no part of it."""
    slope = Slope(run(10), run(110))
    assert slope.all_cpu_sec == pytest.approx(4 * 0.05)
    assert slope.wall_sec == pytest.approx(0.25)
    assert slope.growth_kb("flow") == pytest.approx(1.0)
    assert slope.counts("calls") == {"GET /a": 2.0}
    assert "database: 4.0 kB" in "\n".join(count_lines(slope))
    assert len({row.count("|") for row in slope_table([slope])}) == 1


def test_a_missed_goal_says_so() -> None:
    """Four chunks a second and 0.2 s for each are enough; more than 0.4 s are not."""
    assert all(": met: " in line for line in goal_lines(Slope(run(10), run(110))))
    dear = run(110)
    dear.roles["flow"] = RoleCost(100.0, 0, 0, 0)
    assert any(": missed: " in line for line in goal_lines(Slope(run(10), dear)))


def test_the_engine_says_as_much_as_a_real_one() -> None:
    """Every micro chunk has its text inside of it, in order, whatever its length."""
    span = Span(1_000, 81_000)
    request = MicroRequest(MicroChunk(span, np.zeros(80_000, np.int16), ()), LanguageVotes())
    engine = create(EngineSpec(), Path("anywhere"))
    [result] = engine.transcribe([request], DecodeOptions())
    words = [word for segment in result.segments for word in segment.words]
    assert len(words) == NUM_SEGMENTS * WORDS_PER_SEGMENT
    starts = [word.start_sample for word in words]
    assert starts == sorted(starts)
    assert span.start_sample <= starts[0]
    assert words[-1].end_sample <= span.end_sample
