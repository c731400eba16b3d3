"""The one timeline: integer samples at 16 kHz inside, seconds only at the edges."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from longform.errors import InvariantError

Pcm = npt.NDArray[np.int16]  # shape (num_samples,), 16 kHz mono

SAMPLE_RATE_HZ = 16_000  # Hz; what every Whisper model is trained on
PCM_BYTES_PER_SAMPLE = 2  # bytes; signed 16-bit little-endian mono


def to_samples(seconds: float) -> int:
    """Return the sample nearest to `seconds` (ties to even), computed without float drift."""
    numerator, denominator = seconds.as_integer_ratio()
    samples, rest = divmod(numerator * SAMPLE_RATE_HZ, denominator)
    is_odd = samples % 2
    return samples + (2 * rest + is_odd > denominator)


def to_seconds(samples: int) -> float:
    """Return `samples` as seconds (float64, exact to well under a nanosecond)."""
    return samples / SAMPLE_RATE_HZ


def clock(sample: int) -> str:
    """Return a position on the timeline as h:mm:ss."""
    seconds = int(to_seconds(sample))
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


@dataclass(frozen=True, order=True, slots=True)
class Span:
    """A half-open interval of samples, `[start_sample, end_sample)`, never negative in length.

    Raises:
        InvariantError: where the end lies before the start or the start before zero.
    """

    start_sample: int
    end_sample: int

    def __post_init__(self) -> None:
        if not 0 <= self.start_sample <= self.end_sample:
            raise InvariantError(f"not a span: [{self.start_sample}, {self.end_sample})")

    @property
    def num_samples(self) -> int:
        """Length in samples."""
        return self.end_sample - self.start_sample

    @property
    def start_time_sec(self) -> float:
        """Start in seconds."""
        return to_seconds(self.start_sample)

    @property
    def end_time_sec(self) -> float:
        """End in seconds."""
        return to_seconds(self.end_sample)

    @property
    def duration_sec(self) -> float:
        """Length in seconds."""
        return to_seconds(self.num_samples)

    def intersection(self, other: "Span") -> "Span | None":
        """Return the common part, or None where there is none of positive length."""
        start = max(self.start_sample, other.start_sample)
        end = min(self.end_sample, other.end_sample)
        return Span(start, end) if start < end else None


def require_tiling(parts: Iterable[Span], whole: Span) -> None:
    """Check that `parts`, in order, cover `whole` exactly: no gap, no overlap.

    Raises:
        InvariantError: naming the first sample at which the tiling breaks.
    """
    position = whole.start_sample
    for part in parts:
        if part.start_sample != position:
            raise InvariantError(f"tiling breaks at sample {position}: next part is {part}")
        position = part.end_sample
    if position != whole.end_sample:
        raise InvariantError(f"tiling ends at sample {position}, not at {whole.end_sample}")


def complement(parts: Sequence[Span], whole: Span) -> tuple[Span, ...]:
    """Return the gaps that `parts` (sorted, disjoint) leave in `whole`, in order."""
    edges = [whole.start_sample]
    for part in parts:
        edges += [part.start_sample, part.end_sample]
    edges.append(whole.end_sample)
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return tuple(Span(start, end) for start, end in pairs if start < end)
