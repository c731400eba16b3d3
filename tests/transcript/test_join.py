"""Join: order of arrival does not matter, time only goes forward, and no text is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longform.audio import Span
from longform.errors import InvariantError
from longform.transcript.join import FailedSpan, join
from longform.transcript.segment import ChunkResult, Interval, Segment, Word

CHUNK = 100  # samples


def words(times: list[tuple[int, int]]) -> tuple[Word, ...]:
    """Return numbered words at these times, which need not be sane."""
    return tuple(
        Word(start_sample=start, end_sample=end, text=f" w{number}")
        for number, (start, end) in enumerate(times)
    )


def chunk(index: int, *segments: Segment, end: int | None = None) -> ChunkResult:
    """Return the result of one chunk of CHUNK samples, all of it speech."""
    start, end = index * CHUNK, end if end is not None else (index + 1) * CHUNK
    return ChunkResult(
        key=f"{index:064x}",
        index=index,
        start_sample=start,
        end_sample=end,
        segments=segments,
        coverage=(Interval(start_sample=start, end_sample=end, kind="speech"),),
    )


def segment(
    start: int, end: int, text: str = " x", times: list[tuple[int, int]] | None = None
) -> Segment:
    """Return a segment."""
    return Segment(
        start_sample=start, end_sample=end, text=text, language="en", words=words(times or [])
    )


# Times that an engine should never give: out of the chunk, backwards, on top of each other.
wild = st.tuples(st.integers(-50, 450), st.integers(-50, 450))


def wild_chunks() -> st.SearchStrategy[list[ChunkResult]]:
    """Chunks that tile a recording, with segments and words at any time."""
    segments = st.builds(
        lambda time, text, times: segment(*time, text, times),
        wild,
        st.text(max_size=8),
        st.lists(wild, max_size=4),
    )
    return st.lists(st.lists(segments, max_size=4), max_size=4).map(
        lambda chunks: [chunk(index, *found) for index, found in enumerate(chunks)]
    )


@given(st.data(), wild_chunks())
def test_the_order_of_arrival_does_not_matter(
    data: st.DataObject, chunks: list[ChunkResult]
) -> None:
    """Any permutation of the results gives the same transcript."""
    assert join(data.draw(st.permutations(chunks)), []) == join(chunks, [])


@given(wild_chunks())
def test_time_only_goes_forward(chunks: list[ChunkResult]) -> None:
    """Segments begin in order, never overlap and stay in their chunk; words in their segment."""
    position = 0
    for found in join(chunks, []).segments:
        assert position <= found.start_sample <= found.end_sample <= len(chunks) * CHUNK
        position = found.end_sample
        inner = found.start_sample
        for word in found.words:
            assert inner <= word.start_sample <= word.end_sample <= found.end_sample
            inner = word.end_sample


@given(wild_chunks())
def test_no_text_is_lost_or_moved_to_another_chunk(chunks: list[ChunkResult]) -> None:
    """Every segment keeps its text and its words, between the bounds of its own chunk."""
    joined = list(join(chunks, []).segments)
    for result in chunks:
        own = [joined.pop(0) for _ in result.segments]
        assert sorted(s.text for s in own) == sorted(s.text for s in result.segments)
        assert sum(len(s.words) for s in own) == sum(len(s.words) for s in result.segments)
        for found in own:
            assert result.start_sample <= found.start_sample <= result.end_sample
            assert [w.text for w in found.words] == [f" w{n}" for n in range(len(found.words))]
    assert joined == []


def test_what_is_in_order_is_not_touched() -> None:
    """Sane segments come out exactly as they went in."""
    first = segment(0, 60, " a b", [(0, 20), (30, 60)])
    second = segment(60, 90, " c", [(65, 90)])
    third = segment(110, 150, " d", [(110, 150)])
    assert join([chunk(1, third), chunk(0, first, second)], []).segments == (first, second, third)


def test_a_segment_ends_where_the_next_begins() -> None:
    """An end that runs into the next segment gives way; the start of the next is kept."""
    (first, second) = join(
        [chunk(0, segment(0, 90, " long", [(0, 30), (30, 90)]), segment(50, 80))], []
    ).segments
    assert (first.start_sample, first.end_sample) == (0, 50)
    assert [(w.start_sample, w.end_sample) for w in first.words] == [(0, 30), (30, 50)]
    assert (second.start_sample, second.end_sample) == (50, 80)


def test_a_failed_chunk_is_a_named_hole() -> None:
    """A chunk that failed for good takes its place in the coverage, with the reason."""
    failure = FailedSpan(1, Span(100, 200), "the worker died")
    joined = join([chunk(2, segment(210, 220), end=250), chunk(0)], [failure])
    assert [(p.start_sample, p.end_sample, p.kind, p.detail) for p in joined.coverage] == [
        (0, 100, "speech", ""),
        (100, 200, "failed", "the worker died"),
        (200, 250, "speech", ""),
    ]
    assert joined.num_samples == 250


def test_a_missing_chunk_is_a_bug_and_not_a_shorter_transcript() -> None:
    """Where a chunk is neither there nor reported as failed, joining stops."""
    with pytest.raises(InvariantError, match="tiling breaks at sample 100"):
        join([chunk(0), chunk(2)], [])


def test_nothing_joins_to_nothing() -> None:
    """A recording without any audio has an empty transcript."""
    joined = join([chunk(0, end=0)], [])
    assert (joined.segments, joined.coverage, joined.num_samples) == ((), (), 0)
