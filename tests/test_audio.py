"""The timeline: exact conversion, spans that cannot be negative, tiling and its complement."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longform.audio import SAMPLE_RATE_HZ, Span, complement, require_tiling, to_samples, to_seconds
from longform.errors import InvariantError

TEN_YEARS = 10 * 365 * 24 * 3_600 * SAMPLE_RATE_HZ  # samples


@given(st.integers(0, TEN_YEARS))
def test_samples_survive_the_way_through_seconds(sample: int) -> None:
    """Any position within ten years of audio comes back as the same sample."""
    assert to_samples(to_seconds(sample)) == sample


@pytest.mark.parametrize(
    ("seconds", "samples"),
    [(0, 0), (1, 16_000), (0.1, 1_600), (300.0, 4_800_000), (1 / 256, 62), (3 / 256, 188)],
)
def test_seconds_are_rounded_to_the_nearest_sample(seconds: float, samples: int) -> None:
    """Whole samples are exact; halves go to the even neighbour."""
    assert to_samples(seconds) == samples


@pytest.mark.parametrize(("start", "end"), [(-1, 5), (5, 4), (-3, -1)])
def test_a_span_is_never_negative(start: int, end: int) -> None:
    """Neither the place nor the length of a span can be below zero."""
    with pytest.raises(InvariantError, match="not a span"):
        Span(start, end)


def test_a_span_knows_its_length_and_its_times() -> None:
    """Length and times follow from the two samples."""
    span = Span(8_000, 24_000)
    times = (span.start_time_sec, span.end_time_sec, span.duration_sec)
    assert (span.num_samples, times) == (16_000, (0.5, 1.5, 1.0))


edges = st.integers(0, 30)
spans = st.tuples(edges, edges).map(lambda pair: Span(min(pair), max(pair)))


@given(spans, spans)
def test_the_intersection_is_what_both_hold(first: Span, second: Span) -> None:
    """Sample by sample, the intersection holds what lies in both; nothing is None."""
    both = set(range(first.start_sample, first.end_sample)) & set(
        range(second.start_sample, second.end_sample)
    )
    common = first.intersection(second)
    assert common == second.intersection(first)
    assert (set() if common is None else set(range(common.start_sample, common.end_sample))) == both


@given(st.lists(st.integers(0, 40), min_size=2, max_size=9))
def test_parts_and_their_complement_tile_the_whole(positions: list[int]) -> None:
    """What parts leave out and the parts themselves cover everything exactly once."""
    first, *inner, last = sorted(positions)
    whole = Span(first, last)
    pairs = zip(inner[::2], inner[1::2], strict=False)
    parts = [Span(start, end) for start, end in pairs if start < end]
    gaps = complement(parts, whole)
    require_tiling(sorted([*parts, *gaps]), whole)
    assert all(gap.num_samples for gap in gaps)


@pytest.mark.parametrize(
    "parts",
    [[], [Span(0, 9)], [Span(1, 10)], [Span(0, 4), Span(5, 10)], [Span(0, 6), Span(5, 10)]],
    ids=["none", "short", "late", "gap", "overlap"],
)
def test_what_does_not_tile_is_refused(parts: list[Span]) -> None:
    """A gap, an overlap and a wrong end are all named."""
    with pytest.raises(InvariantError, match="tiling"):
        require_tiling(parts, Span(0, 10))
    require_tiling([Span(0, 4), Span(4, 4), Span(4, 10)], Span(0, 10))
