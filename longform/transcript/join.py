"""Stage `join`: chunk results, in whatever order they came, on one timeline."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from longform.audio import Span
from longform.params import FrozenModel
from longform.transcript.coverage import join_coverage
from longform.transcript.overlap_merge import without_overlap
from longform.transcript.segment import ChunkResult, Interval, Segment, Word


@dataclass(frozen=True, slots=True)
class FailedSpan:
    """A macro chunk that failed for good, and why."""

    index: int
    span: Span
    reason: str

    @property
    def interval(self) -> Interval:
        """The span as part of the coverage."""
        return Interval(
            start_sample=self.span.start_sample,
            end_sample=self.span.end_sample,
            kind="failed",
            detail=self.reason,
        )


class Transcript(FrozenModel):
    """Segments in order of time, and what became of every sample of the recording.

    Segments begin in order and do not overlap; words lie in their segment, in order.
    `coverage` tiles `[0, num_samples)`.
    """

    segments: tuple[Segment, ...]
    coverage: tuple[Interval, ...]
    num_samples: int


def join(results: Sequence[ChunkResult], failures: Sequence[FailedSpan]) -> Transcript:
    """Join chunk results; the outcome does not depend on their order, and no text is lost.

    Text in the guard of a boundary, which two chunks have heard, is taken from one of them.

    Raises:
        InvariantError: the chunks do not tile the recording.
    """
    coverage = join_coverage(
        [interval for result in results for interval in result.coverage]
        + [failure.interval for failure in failures]
    )
    in_time = sorted(results, key=lambda result: (result.start_sample, result.index))
    owned = zip(in_time, without_overlap(in_time), strict=True)
    within = [segment for result, own in owned for segment in _within_reach(result, own)]
    return Transcript(
        segments=_disjoint(within),
        coverage=coverage,
        num_samples=coverage[-1].end_sample if coverage else 0,
    )


def _within_reach(result: ChunkResult, own: Sequence[Segment]) -> list[Segment]:
    """Return a chunk's own segments in order of time, inside its span and its guards."""
    in_time = sorted(own, key=lambda segment: segment.start_sample)
    return [_clamped(segment, result.heard_span) for segment in in_time]


def _disjoint(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """Let a segment end where the next begins: starts are what Whisper times best."""
    if not segments:
        return ()
    # Beside a seam, text that comes later may be timed earlier: the order of the text counts.
    starts = [*accumulate((segment.start_sample for segment in segments), max)]
    ends = [*starts[1:], max(starts[-1], segments[-1].end_sample)]
    return tuple(
        _clamped(segment, Span(start, end))
        for segment, start, end in zip(segments, starts, ends, strict=True)
    )


def _clamped(segment: Segment, span: Span) -> Segment:
    start = _between(segment.start_sample, span.start_sample, span.end_sample)
    end = _between(segment.end_sample, start, span.end_sample)
    words = _ordered_words(segment.words, Span(start, end))
    if (start, end) == (segment.start_sample, segment.end_sample) and words == segment.words:
        return segment
    return segment.model_copy(update={"start_sample": start, "end_sample": end, "words": words})


def _ordered_words(words: Sequence[Word], span: Span) -> tuple[Word, ...]:
    """Clamp words into `span`, each behind the one before it; their order is the text's."""
    position, ordered = span.start_sample, []
    for word in words:
        start = _between(word.start_sample, position, span.end_sample)
        position = _between(word.end_sample, start, span.end_sample)
        # Nearly all of them lie there already, and a copy takes longer than all else here.
        is_in_place = (start, position) == (word.start_sample, word.end_sample)
        ordered.append(
            word if is_in_place else replace(word, start_sample=start, end_sample=position)
        )
    return tuple(ordered)


def _between(sample: int, low: int, high: int) -> int:
    return min(max(sample, low), high)
