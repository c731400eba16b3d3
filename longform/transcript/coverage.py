"""Coverage: what became of every sample of a recording."""

from collections.abc import Iterable

from longform.timeline import Span, require_tiling
from longform.transcript.segment import Interval


def join_coverage(parts: Iterable[Interval]) -> tuple[Interval, ...]:
    """Put intervals in order, and merge neighbours that say the same; empty ones vanish.

    Returns:
        Intervals that tile `[0, N)`, where N is the end of the last.

    Raises:
        InvariantError: the parts leave a gap, overlap, or do not begin at 0.
    """
    ordered = sorted(
        (part for part in parts if part.start_sample < part.end_sample),
        key=lambda part: part.start_sample,
    )
    end_sample = ordered[-1].end_sample if ordered else 0
    require_tiling((part.span for part in ordered), Span(0, end_sample))
    joined: list[Interval] = []
    for part in ordered:
        last = joined[-1] if joined else None
        if last is not None and (last.kind, last.detail) == (part.kind, part.detail):
            joined[-1] = last.model_copy(update={"end_sample": part.end_sample})
        else:
            joined.append(part)
    return tuple(joined)
