"""Whole milliseconds, which is as fine as subtitle files go."""

from longform.audio import SAMPLE_RATE_HZ, to_samples

_SAMPLES_PER_MS = SAMPLE_RATE_HZ // 1_000


def to_ms(seconds: float) -> int:
    """Return the millisecond nearest to a time, halves up, computed from its sample."""
    return samples_to_ms(to_samples(seconds))


def samples_to_ms(samples: int) -> int:
    """Return the millisecond nearest to a sample, halves up."""
    return (samples + _SAMPLES_PER_MS // 2) // _SAMPLES_PER_MS
