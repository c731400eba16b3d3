"""How the audio of a source is read: in windows, or in one pass from its start.

Windows only where they were shown to tile exactly; everything else is decoded once, which
is exact by construction.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from longform.media.mp4_boxes import AudioTable
from longform.media.source import Source

if TYPE_CHECKING:
    from longform.media.probe import Access


@dataclass(frozen=True, slots=True)
class AudioIndex:
    """What the container's own index says about an audio stream; 0 or None: nothing."""

    codec: str
    sample_rate_hz: int
    channels: int
    starts_at_zero: bool
    duration_ticks: int | None
    tick_sec: Fraction
    frame_samples: int
    bit_rate: int


def choose_access(
    source: Source, container: str, index: AudioIndex, table: AudioTable | None
) -> "tuple[Access, str]":
    """Return the access and the reason for it, in one line for people.

    `table` is the sample table of an mp4 file, None for any other.
    """
    if not source.supports_ranges:
        return "sequential", "the server does not support byte ranges"
    kind = container.split(",")[0]
    if kind not in _OBSTACLES:
        return "sequential", f"{kind} has no index by which windows would tile exactly"
    if not index.duration_ticks or index.duration_ticks < 0:
        return "sequential", "the container does not say how long it is"
    if not index.starts_at_zero:
        return "sequential", "its audio does not begin at time zero"
    obstacle = _OBSTACLES[kind](source, index)
    if obstacle is None and table is not None:
        obstacle = _table_obstacle(table, index)
    if obstacle is not None:
        return "sequential", obstacle
    return "windowed", f"{kind} with {index.codec} is indexed by sample"


def _pcm_obstacle(source: Source, index: AudioIndex) -> str | None:
    if not index.codec.startswith("pcm_"):
        return f"{index.codec} has no index by sample"
    seconds = (index.duration_ticks or 0) * index.tick_sec
    # A recorder that was cut off leaves a header that speaks of more than there is.
    if seconds * index.bit_rate > 8 * source.length_bytes:
        return "the header promises more audio than the file holds"
    return None


def _flac_obstacle(source: Source, index: AudioIndex) -> str | None:
    return None if index.codec == "flac" else f"{index.codec} has no index by sample"


def _mp4_obstacle(source: Source, index: AudioIndex) -> str | None:
    return None if index.codec == "aac" else f"{index.codec} in mp4 was not shown to tile exactly"


def _table_obstacle(table: AudioTable, index: AudioIndex) -> str | None:
    if table.fragmented:
        return "the file is fragmented, so its index is not complete"
    # Windows go by time stamp and a pass by counting; uneven stamps would set them apart.
    even_sec = Fraction(index.frame_samples, index.sample_rate_hz)
    if not table.frame_ticks or table.frame_ticks * index.tick_sec != even_sec:
        return "its audio frames are not evenly spaced in time"
    return None


_OBSTACLES: dict[str, Callable[[Source, AudioIndex], str | None]] = {
    "wav": _pcm_obstacle,
    "aiff": _pcm_obstacle,
    "au": _pcm_obstacle,
    "flac": _flac_obstacle,
    "mov": _mp4_obstacle,
}
