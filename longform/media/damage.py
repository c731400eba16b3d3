"""What of a recording was lost: spans on its timeline, each with a reason in plain words."""

from collections.abc import Iterable

from longform.params import FrozenModel
from longform.timeline import Span


class DamagedSpan(FrozenModel):
    """Audio that is missing or was decoded from broken data, in samples at 16 kHz."""

    start_sample: int
    end_sample: int
    reason: str

    @property
    def span(self) -> Span:
        """The place."""
        return Span(self.start_sample, self.end_sample)


class DamageReport:
    """Collects damage while a recording is read. Spans are in order and do not overlap."""

    def __init__(self, spans: Iterable[DamagedSpan] = ()) -> None:
        self._spans = list(spans)

    def add(self, start_sample: int, end_sample: int, reason: str) -> None:
        """Note that `[start_sample, end_sample)` is damaged; empty spans are ignored."""
        start_sample = max(0, start_sample)
        if start_sample < end_sample:
            found = DamagedSpan(start_sample=start_sample, end_sample=end_sample, reason=reason)
            self._spans.append(found)

    @property
    def spans(self) -> tuple[DamagedSpan, ...]:
        """All damage; where two spans overlap, the earlier one's reason holds for both."""
        merged: list[DamagedSpan] = []
        for one in sorted(self._spans, key=lambda one: (one.start_sample, one.end_sample)):
            last = merged[-1] if merged else None
            if (
                last is None
                or one.start_sample > last.end_sample
                or (one.start_sample == last.end_sample and one.reason != last.reason)
            ):
                merged.append(one)
            elif one.end_sample > last.end_sample:
                merged[-1] = last.model_copy(update={"end_sample": one.end_sample})
        return tuple(merged)

    def within(self, start_sample: int, end_sample: int | None) -> tuple[DamagedSpan, ...]:
        """Return the damage in a stretch, cut at its edges; None: without an end."""
        clipped = (
            one.model_copy(
                update={
                    "start_sample": max(one.start_sample, start_sample),
                    "end_sample": one.end_sample
                    if end_sample is None
                    else min(one.end_sample, end_sample),
                }
            )
            for one in self.spans
        )
        return tuple(one for one in clipped if one.start_sample < one.end_sample)
