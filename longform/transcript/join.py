"""Stage `join`: chunk results, in whatever order they came, on one timeline."""

from collections.abc import Sequence
from dataclasses import dataclass

from longform.params import FrozenModel
from longform.timeline import Span, require_tiling
from longform.transcript.segment import ChunkResult, Interval, Segment, Word


@dataclass(frozen=True, slots=True)
class FailedSpan:
    """A macro chunk that failed for good, and why."""

    index: int
    span: Span
    reason: str


class Transcript(FrozenModel):
    """Segments in order of time, and what became of every sample of the recording."""

    segments: tuple[Segment, ...]
    coverage: tuple[Interval, ...]
    num_samples: int


def join(results: Sequence[ChunkResult], failures: Sequence[FailedSpan]) -> Transcript:
    """Join chunk results; the outcome does not depend on their order.

    Raises:
        InvariantError: the chunks do not tile the recording.
    """
    ordered = sorted(results, key=lambda result: result.index)
    parts = [interval for result in ordered for interval in result.coverage]
    parts += [_failed(failure) for failure in failures]
    parts.sort(key=lambda part: (part.start_sample, part.end_sample))
    num_samples = max((part.end_sample for part in parts), default=0)
    require_tiling([part.span for part in parts], Span(0, num_samples))
    return Transcript(
        segments=_monotonic([segment for result in ordered for segment in result.segments]),
        coverage=_merged(parts),
        num_samples=num_samples,
    )


def _failed(failure: FailedSpan) -> Interval:
    span = failure.span
    return Interval(
        start_sample=span.start_sample,
        end_sample=span.end_sample,
        kind="failed",
        detail=failure.reason,
    )


def _merged(parts: Sequence[Interval]) -> tuple[Interval, ...]:
    merged: list[Interval] = []
    for part in parts:
        last = merged[-1] if merged else None
        if last is not None and (last.kind, last.detail) == (part.kind, part.detail):
            merged[-1] = last.model_copy(update={"end_sample": part.end_sample})
        elif part.span.num_samples:
            merged.append(part)
    return tuple(merged)


def _monotonic(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    position = 0
    clamped: list[Segment] = []
    for segment in segments:
        start = max(segment.start_sample, position)
        end = max(segment.end_sample, start)
        words = _words_from(segment.words, start)
        clamped.append(
            segment.model_copy(update={"start_sample": start, "end_sample": end, "words": words})
        )
        position = end
    return tuple(clamped)


def _words_from(words: Sequence[Word], position: int) -> tuple[Word, ...]:
    clamped: list[Word] = []
    for word in words:
        start = max(word.start_sample, position)
        end = max(word.end_sample, start)
        clamped.append(word.model_copy(update={"start_sample": start, "end_sample": end}))
        position = end
    return tuple(clamped)
