"""Coverage: what became of every sample of a recording."""

from collections.abc import Iterable, Sequence

from longform.audio import Span, require_tiling
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


def overlaid(parts: Sequence[Interval], upper: Sequence[Interval]) -> tuple[Interval, ...]:
    """Return `parts` with `upper` laid over them; both are in order and free of overlaps.

    `upper` may reach beyond the end of `parts`, without a gap.
    """
    kept: list[Interval] = []
    for part in parts:
        position = part.start_sample
        for cover in upper:
            if cover.end_sample <= position or cover.start_sample >= part.end_sample:
                continue
            kept.append(
                part.model_copy(update={"start_sample": position, "end_sample": cover.start_sample})
            )
            position = cover.end_sample
        kept.append(part.model_copy(update={"start_sample": position}))
    pieces = [part for part in kept if part.start_sample < part.end_sample]
    return tuple(sorted([*pieces, *upper], key=lambda part: part.start_sample))
