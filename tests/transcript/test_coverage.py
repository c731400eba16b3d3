"""Coverage: joined, it tiles the recording and still says the same about every sample."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longform.audio import Span, require_tiling
from longform.errors import InvariantError
from longform.transcript.coverage import join_coverage, overlaid
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


@given(tilings(), st.lists(st.integers(0, 60), max_size=8, unique=True).map(sorted))
def test_damage_laid_over_coverage_still_tiles(parts: list[Interval], edges: list[int]) -> None:
    """Where damage lies it is what is said, everywhere else what was said before."""
    parts = [part for part in parts if part.start_sample < part.end_sample]
    end = parts[-1].end_sample if parts else 0
    pairs = zip(edges[::2], edges[1::2], strict=False)
    upper = [interval(a, min(b, end), "damaged", "x") for a, b in pairs if a < min(b, end)]
    both = overlaid(parts, upper)
    require_tiling([part.span for part in both], Span(0, end))
    expected = per_sample(parts)
    for cover in upper:
        expected[cover.start_sample : cover.end_sample] = [("damaged", "x")] * (
            cover.end_sample - cover.start_sample
        )
    assert per_sample(both) == expected


def test_damage_may_follow_the_audio() -> None:
    """What a header promised behind the end of the audio makes the coverage longer."""
    both = overlaid([interval(0, 10, "speech")], [interval(8, 30, "damaged", "x")])
    assert [(part.kind, part.end_sample) for part in both] == [("speech", 8), ("damaged", 30)]
    assert overlaid([], [interval(0, 3, "damaged")]) == (interval(0, 3, "damaged"),)
