"""What is kept of a macro chunk: its own samples are all accounted for, a neighbour's are not."""

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longform.audio import Span, complement, require_tiling
from longform.errors import InvariantError
from longform.pipeline.chunk_result import NO_WORDS, HeardMicro, to_chunk_result
from longform.speech.engine import MicroResult
from longform.transcript.segment import ChunkResult, Segment


def said(span: Span, language: str = "en") -> MicroResult:
    """Return one segment over a span."""
    segment = Segment(
        start_sample=span.start_sample, end_sample=span.end_sample, text=" x", language=language
    )
    return MicroResult((segment,), language, 0.99)


def result(
    own: Span, heard: list[HeardMicro], heard_span: Span, *, is_open_ended: bool = False
) -> ChunkResult:
    """Return the chunk's result, all that is between the micro chunks being non-speech."""
    return to_chunk_result(
        key="0" * 64,
        index=3,
        own=own,
        heard=heard,
        non_speech=complement([micro.span for micro in heard], heard_span),
        heard_span=heard_span,
        is_open_ended=is_open_ended,
        worker="here:1",
        started_sec=0.0,
    )


@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=12),
    before=st.integers(0, 60),
    after=st.integers(0, 60),
    data=st.data(),
)
def test_coverage_tiles_the_chunks_own_span(
    lengths: list[int], before: int, after: int, data: st.DataObject
) -> None:
    """Whatever was heard in the guards, coverage begins and ends with the chunk."""
    edges = [*accumulate(lengths, initial=1_000)]
    spans = [Span(*pair) for pair in pairwise(edges)]
    heard = []
    for span in spans[:: data.draw(st.sampled_from([1, 2]))]:
        silent = (
            Span(span.start_sample, data.draw(st.integers(span.start_sample, span.end_sample))),
        )
        heard.append(HeardMicro(span, said(span), silent))
    whole = Span(edges[0], edges[-1])
    start = min(whole.start_sample + before, whole.end_sample)
    own = Span(start, max(start, whole.end_sample - after))
    found = result(own, heard, whole)
    require_tiling([part.span for part in found.coverage], own)
    assert found.span == own
    assert found.heard_span == whole
    assert sum(found.languages.values()) <= own.duration_sec


def test_speech_without_words_is_told_apart() -> None:
    """What stayed empty is speech all the same, and says so."""
    own = Span(0, 100)
    heard = [HeardMicro(Span(0, 80), said(Span(0, 30)), (Span(40, 70),))]
    coverage = [
        (p.start_sample, p.end_sample, p.kind, p.detail) for p in result(own, heard, own).coverage
    ]
    assert coverage == [
        (0, 40, "speech", ""),
        (40, 70, "speech", NO_WORDS),
        (70, 80, "speech", ""),
        (80, 100, "non_speech", ""),
    ]


def test_the_last_chunk_ends_where_its_audio_does() -> None:
    """Whether there is more or less of it than was planned."""
    for end in (80, 120):
        heard = [HeardMicro(Span(10, end), said(Span(10, end)))]
        found = result(Span(10, 100), heard, Span(10, end), is_open_ended=True)
        assert found.span == Span(10, end)


def test_a_gap_in_what_was_heard_is_a_bug() -> None:
    """Samples that are neither in a micro chunk nor left out cannot be lost in silence."""
    with pytest.raises(InvariantError, match="tiling breaks"):
        to_chunk_result(
            key="0" * 64,
            index=0,
            own=Span(0, 30),
            heard=[HeardMicro(Span(0, 10), said(Span(0, 10)))],
            non_speech=[Span(20, 30)],
            heard_span=Span(0, 30),
            is_open_ended=False,
            worker="",
            started_sec=0.0,
        )
