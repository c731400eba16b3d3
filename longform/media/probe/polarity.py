"""Which channel is read, where mixing them would cancel them.

A stereo recording with one channel reversed in polarity (a wrong cable, a bridged amplifier)
sounds right on two loudspeakers, and its mix is silence. The decision is one per recording, so
that all windows agree. It is made from stretches all over the recording where reading them is
cheap; of a remote source that is read in one pass, from its head alone.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from longform.media.decode.ffmpeg_args import INPUT_OPTIONS
from longform.media.decode.sandbox import run_script
from longform.media.gateway.gateway import Served
from longform.media.model import Source
from longform.net.policy import scheme_of

_SCRIPT = Path(__file__).with_name("levels_script.py")

STRETCH_SEC = 4.0
MOST_STRETCHES = 8
SHARE_OF_BYTES = 0.02  # of a remote source that may be read for this
BYTES_PER_STRETCH = 2**19  # bytes; two blocks of the cache
CPU_SEC = 15
CANCELLED = 1 / 30  # of the louder channel's power that is left in the mix: 15 dB less
ALIKE = 0.5  # correlation of channels that carry the same
LEAST_SHARE = 0.1  # of the recording's power that must be cancelled


@dataclass(frozen=True, slots=True)
class Stretch:
    """Power of a stretch by channel and of their mix; how alike first and last channel are."""

    channels: tuple[float, ...]
    mix: float
    likeness: float

    @property
    def loudest(self) -> float:
        """Power of the loudest channel."""
        return max(self.channels)

    @property
    def is_cancelled(self) -> bool:
        """Whether the mix has lost what the channels hold."""
        return self.mix < CANCELLED * self.loudest


def cancelled_by_mixing(stretches: Sequence[Stretch]) -> int | None:
    """Return the channel to read instead of the mix, from 0; None where the mix is sound.

    The mix stays where channels that differ (two microphones, two speakers) outweigh those
    that cancel: one channel alone would lose half of the talk.
    """
    total = sum(stretch.loudest for stretch in stretches)
    cancelled = [stretch for stretch in stretches if stretch.is_cancelled]
    lost = sum(stretch.loudest for stretch in cancelled)
    unlike = sum(stretch.loudest for stretch in stretches if abs(stretch.likeness) < ALIKE)
    if not lost or lost < LEAST_SHARE * total or unlike > lost:
        return None
    powers = [sum(powers) for powers in zip(*(one.channels for one in cancelled), strict=True)]
    return powers.index(max(powers))


def places_sec(source: Source, access: str, duration_sec: float | None) -> list[float]:
    """Return where to listen, in seconds: the head, and places as far apart as can be."""
    is_local = scheme_of(source.url) in ("", "file")
    if duration_sec is None or (access == "sequential" and not is_local):
        return [0.0]
    affordable = int(source.length_bytes * SHARE_OF_BYTES / BYTES_PER_STRETCH)
    fitting = int(duration_sec / STRETCH_SEC)
    count = max(1, min(MOST_STRETCHES, fitting, fitting if is_local else 1 + affordable))
    return [number * duration_sec / count for number in range(count)]


async def channel_to_read(
    served: Served, audio_stream: int, channels: int, places: Sequence[float]
) -> tuple[int | None, tuple[str, ...]]:
    """Listen to a recording of several channels; return the choice, and a warning for people."""
    if channels < 2:
        return None, ()
    order = {
        "url": served.url,
        "options": INPUT_OPTIONS,
        "audio_stream": audio_stream,
        "places_sec": list(places),
        "stretch_sec": STRETCH_SEC,
    }
    written, _ = await run_script(_SCRIPT, order, served, cpu_sec=CPU_SEC, max_bytes=65_536)
    served.raise_for_failure()
    chosen = cancelled_by_mixing(list(_stretches(written)))
    if chosen is None:
        return None, ()
    return chosen, (
        f"the channels cancel each other out when they are mixed (one has reversed polarity): "
        f"only channel {chosen + 1} of {channels} is transcribed",
    )


def _stretches(written: bytes) -> "list[Stretch]":
    found = []
    for line in written.splitlines():
        try:
            values = json.loads(line)
        except ValueError:  # the child ended in the middle of it
            break
        if values:
            found.append(Stretch(tuple(values["channels"]), values["mix"], values["likeness"]))
    return [one for one in found if len(one.channels) == len(found[0].channels)]
