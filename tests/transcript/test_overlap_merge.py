"""Seams: of what two chunks have both heard, every word is taken once, in order of time."""

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longform.audio import SAMPLE_RATE_HZ
from longform.transcript.join import FailedSpan, join
from longform.transcript.segment import ChunkResult, Interval, Segment, Word

GUARD = 2 * SAMPLE_RATE_HZ
BOUNDARY = 10 * SAMPLE_RATE_HZ
END = 20 * SAMPLE_RATE_HZ

Timed = tuple[float, float, str]  # start and end in seconds


def segment(*words: Timed, probability: float = 0.9) -> Segment:
    """Return a segment of these words."""
    timed = tuple(
        Word(
            start_sample=round(start * SAMPLE_RATE_HZ),
            end_sample=round(end * SAMPLE_RATE_HZ),
            text=text,
            probability=probability,
        )
        for start, end, text in words
    )
    return Segment(
        start_sample=timed[0].start_sample,
        end_sample=timed[-1].end_sample,
        text="".join(word.text for word in timed),
        language="en",
        words=timed,
        tokens=(1, 2, 3),
    )


def chunk(start: int, end: int, guards: tuple[int, int], *segments: Segment) -> ChunkResult:
    """Return the result of a chunk that is speech throughout."""
    return ChunkResult(
        key="0" * 64,
        index=start,
        start_sample=start,
        end_sample=end,
        guard_before_samples=guards[0],
        guard_after_samples=guards[1],
        segments=segments,
        coverage=(Interval(start_sample=start, end_sample=end, kind="speech"),),
    )


def text_of(left: Segment, right: Segment) -> str:
    """Return the text of two chunks that listened two seconds into each other."""
    results = [
        chunk(0, BOUNDARY, (0, GUARD), left),
        chunk(BOUNDARY, END, (GUARD, 0), right),
    ]
    return "".join(each.text for each in join(results, []).segments)


def test_the_text_changes_hands_behind_a_word_that_both_have_heard() -> None:
    """What one window mishears at its edge is taken from the other."""
    left = segment((8, 8.5, " we"), (9.2, 9.8, " hold"), (9.9, 10.3, " these"), (11, 12, " true"))
    right = segment(
        (8, 8.4, " he"), (9.3, 9.8, " hold"), (9.9, 10.4, " these"), (11, 12, " truths")
    )
    assert text_of(left, right) == " we hold these truths"


def test_a_word_that_is_said_twice_stays_twice() -> None:
    """Equal words at different times are different words."""
    left = segment((9, 9.4, " no"), (9.6, 9.9, " no"), (10.2, 10.5, " no"))
    right = segment((9.6, 9.9, " no"), (10.2, 10.5, " no"), (10.8, 11.2, " no"))
    assert text_of(left, right) == " no no no no"


@pytest.mark.parametrize(
    ("left_time", "right_time"), [((9.6, 10.3), (9.8, 10.5)), ((9.8, 10.5), (9.6, 10.3))]
)
@pytest.mark.parametrize("left_is_sure", [True, False])
def test_a_word_on_the_boundary_is_kept_once_whatever_its_spelling(
    left_time: tuple[float, float], right_time: tuple[float, float], left_is_sure: bool
) -> None:
    """Both midpoints on their own side would double it, both on the other side lose it."""
    left = segment((*left_time, " colour"), probability=0.9 if left_is_sure else 0.3)
    right = segment((*right_time, " color"), probability=0.5)
    assert text_of(left, right) == (" colour" if left_is_sure else " color")


def test_without_a_common_word_the_midpoint_decides() -> None:
    """Words that do not meet in time belong to the side in which they lie."""
    left = segment((9, 9.4, " a"), (10.6, 11, " x"))
    right = segment((9, 9.2, " y"), (10.1, 10.4, " b"))
    assert text_of(left, right) == " a b"


def test_beside_a_chunk_that_failed_nothing_reaches_out() -> None:
    """Words in the guard are not kept where their owner is missing from the transcript."""
    left = segment((9, 9.4, " a"), (10.6, 11, " x"))
    failure = FailedSpan(1, chunk(BOUNDARY, END, (0, 0)).span, "the worker died")
    joined = join([chunk(0, BOUNDARY, (0, GUARD), left)], [failure])
    assert [each.text for each in joined.segments] == [" a"]


def test_segments_without_words_are_kept_whole_by_one_side() -> None:
    """Where an engine times no words, the midpoint of the segment decides."""
    said = segment((8, 11, " all of it")).model_copy(update={"words": ()})
    again = segment((8.5, 11.2, " all of it too")).model_copy(update={"words": ()})
    assert text_of(said, again) == " all of it"


# Numbered words on a common clock: 0.2 to 1 s each, with pauses up to 1 s between them.
clocks = st.lists(st.tuples(st.integers(0, 10), st.integers(2, 10)), min_size=4, max_size=120)
cuts = st.lists(st.integers(10, 100), min_size=1, max_size=5)


def spoken(clock: list[tuple[int, int]]) -> list[Timed]:
    """Return words on a timeline from pauses and lengths in tenths of a second."""
    edges = [*accumulate((part for pair in clock for part in pair), initial=0)]
    pairs = list(zip(edges[1::2], edges[2::2], strict=True))
    return [(start / 10, end / 10, f" w{number}") for number, (start, end) in enumerate(pairs)]


@given(clock=clocks, lengths=cuts, data=st.data())
def test_what_all_chunks_hear_alike_comes_out_exactly_once(
    clock: list[tuple[int, int]], lengths: list[int], data: st.DataObject
) -> None:
    """Wherever the boundaries fall, and in whatever order the chunks come: every word, once.

    Each chunk times its words up to 50 ms too early or too late.
    """
    words = spoken(clock)
    total = round(max(end for _, end, _ in words) * SAMPLE_RATE_HZ) + GUARD
    inner = [at * SAMPLE_RATE_HZ // 4 for at in accumulate(lengths)]
    edges = [0, *(at for at in inner if at < total - GUARD), total]
    results = []
    for start, end in pairwise(edges):
        guards = (min(GUARD, start), 0 if end == total else GUARD)
        first, last = (start - guards[0]) / SAMPLE_RATE_HZ, (end + guards[1]) / SAMPLE_RATE_HZ
        shift = data.draw(st.sampled_from([-0.05, 0.0, 0.05]))
        heard = [
            (max(first, at + shift), min(last, to + shift), text)
            for at, to, text in words
            if first <= at and to <= last
        ]
        results.append(chunk(start, end, guards, *([segment(*heard)] if heard else [])))
    joined = join(data.draw(st.permutations(results)), [])
    assert "".join(each.text for each in joined.segments) == "".join(text for _, _, text in words)
    position = 0
    for each in joined.segments:
        for word in each.words:
            assert position <= word.start_sample <= word.end_sample
            position = word.end_sample
