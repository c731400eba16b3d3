"""Coverage: joined, it tiles the recording and still says the same about every sample."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longform.errors import InvariantError
from longform.timeline import Span, require_tiling
from longform.transcript.coverage import join_coverage
from longform.transcript.segment import CoverageKind, Interval

KINDS: tuple[CoverageKind, ...] = ("speech", "non_speech", "damaged", "failed")


def interval(start: int, end: int, kind: CoverageKind, detail: str = "") -> Interval:
    """Return an interval."""
    return Interval(start_sample=start, end_sample=end, kind=kind, detail=detail)


def tilings() -> st.SearchStrategy[list[Interval]]:
    """Intervals that tile [0, N), in order; some of them empty."""
    one = st.tuples(st.integers(0, 5), st.sampled_from(KINDS), st.sampled_from(["", "why"]))

    def build(parts: list[tuple[int, CoverageKind, str]]) -> list[Interval]:
        found, position = [], 0
        for length, kind, detail in parts:
            found.append(interval(position, position + length, kind, detail))
            position += length
        return found

    return st.lists(one, max_size=20).map(build)


def per_sample(parts: list[Interval] | tuple[Interval, ...]) -> list[tuple[str, str]]:
    """Return what is said about each sample."""
    return [
        (part.kind, part.detail)
        for part in parts
        for _ in range(part.start_sample, part.end_sample)
    ]


@given(st.data(), tilings())
def test_joined_coverage_tiles_and_says_the_same(
    data: st.DataObject, parts: list[Interval]
) -> None:
    """In any order of the parts: the same statement per sample, and no two neighbours alike."""
    joined = join_coverage(data.draw(st.permutations(parts)))
    require_tiling([p.span for p in joined], Span(0, parts[-1].end_sample if parts else 0))
    assert per_sample(joined) == per_sample(parts)
    assert all((a.kind, a.detail) != (b.kind, b.detail) for a, b in pairwise(joined))


@pytest.mark.parametrize(
    "parts",
    [
        [interval(1, 5, "speech")],
        [interval(0, 5, "speech"), interval(6, 9, "speech")],
        [interval(0, 5, "speech"), interval(4, 9, "failed")],
        [interval(0, 5, "speech"), interval(0, 5, "speech")],
    ],
    ids=["late", "gap", "overlap", "twice"],
)
def test_coverage_that_does_not_tile_is_a_bug(parts: list[Interval]) -> None:
    """A gap, an overlap or a chunk that came twice is never smoothed over."""
    with pytest.raises(InvariantError, match="tiling"):
        join_coverage(parts)
