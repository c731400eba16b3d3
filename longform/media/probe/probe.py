"""Stage `probe`: what a source holds, and how its audio can be read.

libavformat looks at it in a child process (`probe_script.py`): what it reads may be made to
break it. From what the child says follow the timeline (where the audio begins, how long it
is), the access (windows, or one pass from the start) and the channel. Of Ogg, the first and
the last pages are looked at here: libavformat does not tell a chain of streams from one.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from longform.audio import SAMPLE_RATE_HZ, to_samples
from longform.errors import NoAudioError, NotMediaError, SourceTooLargeError
from longform.media.decode.ffmpeg_args import INPUT_OPTIONS
from longform.media.decode.sandbox import run_script
from longform.media.gateway.gateway import Served, serve
from longform.media.model import Access, Media, Source
from longform.media.probe.polarity import channel_to_read, places_sec
from longform.media.range_reader import Read
from longform.net.policy import SourcePolicy

_SCRIPT = Path(__file__).with_name("probe_script.py")

LOOK_CPU_SEC = 15  # seconds of CPU; the index of an mp4 of 24 h takes two to four
LOOK_BYTES = 65_536  # bytes of what the child says
STATING_LENGTH = frozenset({"aiff", "au", "caf", "flac", "mov", "tta", "w64", "wav"})
LATEST_START_SEC = 3_600  # seconds; audio that begins later begins at once, with a warning

EDGE_BYTES = 131_072  # bytes; two of the longest pages, so that a whole one lies among them
_MAGIC = b"OggS"
_FIRST_PAGE = 2  # flag of the page that begins a logical stream
_HEADER_BYTES = 18  # bytes; up to the end of the serial number

CHAINED_WARNING = (
    "the recording is a chain of several Ogg streams; where rate or channels change between "
    "them ffmpeg may lose audio without saying so: convert it to FLAC first to be sure"
)


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
    fragmented: bool = False  # of an mp4 file: its header does not count all frames
    frame_ticks: int | None = None  # of an mp4 file: from each frame to the next; None: uneven


async def probe(
    source: Source,
    policy: SourcePolicy,
    audio_stream: int | None = None,
) -> Media:
    """Read container, streams and duration, and choose how the audio is to be read.

    Args:
        source: what to look at.
        policy: its limits.
        audio_stream: which audio stream, from 0; None takes the default one, else the first.

    Raises:
        NotMediaError: in no format that may be opened.
        NoAudioError: no audio stream, or not that one.
        SourceTooLargeError: longer than the policy allows.
        RetryableError: the source could not be read.
    """
    async with serve(source, policy) as served:
        facts = await _look(served, source, audio_stream)
        start_sec, warnings = _start(facts)
        if facts["container"] == "ogg" and await is_chained(served.read, source.length_bytes):
            warnings += (CHAINED_WARNING,)
        length_sec = _length_sec(facts)
        duration_sec = None if length_sec is None else float(length_sec + start_sec)
        if duration_sec is not None and duration_sec > policy.max_duration_sec:
            raise SourceTooLargeError(
                f"{source.name} says it lasts {duration_sec:.3f} s; "
                f"at most {policy.max_duration_sec:.3f} s may be opened"
            )
        index = _audio_index(facts, starts_at_zero=start_sec == 0 and facts["starts_at_zero"])
        access, reason = choose_access(source, facts["container"], index)
        channel, cancelled = await channel_to_read(
            served,
            facts["audio_stream"],
            index.channels,
            places_sec(source, access, duration_sec),
        )
    return Media(
        container=facts["container"],
        codec=index.codec,
        sample_rate_hz=index.sample_rate_hz,
        channels=index.channels,
        audio_stream=facts["audio_stream"],
        channel=channel,
        duration_sec=duration_sec,
        num_samples_estimate=None if duration_sec is None else to_samples(duration_sec),
        promised_samples=_promised_samples(facts, access, duration_sec),
        origin_sec=float(Fraction(facts["origin_sec"])),
        start_sample=round(start_sec * SAMPLE_RATE_HZ),
        has_video=facts["has_video"],
        access=access,
        access_reason=reason,
        warnings=warnings + cancelled,
    )


async def _look(served: Served, source: Source, audio_stream: int | None) -> dict[str, Any]:
    order = {"url": served.url, "options": INPUT_OPTIONS, "audio_stream": audio_stream}
    answer, end = await run_script(
        _SCRIPT, order, served, cpu_sec=LOOK_CPU_SEC, max_bytes=LOOK_BYTES
    )
    served.raise_for_failure()
    try:
        facts: dict[str, Any] = json.loads(answer)
    except ValueError:
        raise NotMediaError(
            f"{source.name} cannot be opened: {end.reason}; the file is broken, convert it first"
        ) from None
    if (error := facts.get("error")) is not None:
        _complain(source.name, error, facts, audio_stream)
    return facts


def _complain(name: str, error: str, facts: dict[str, Any], audio_stream: int | None) -> None:
    if error == "unknown_codec":
        raise NoAudioError(f"{name}: ffmpeg does not know the codec of its audio; convert it first")
    if error == "not_media":
        raise NotMediaError(
            f"{name} is not a recording in a format that can be opened; "
            "check that it is an audio or video file"
        )
    if not facts["num_streams"]:
        raise NoAudioError(f"{name} has no audio stream, so there is nothing to transcribe")
    raise NoAudioError(
        f"{name} has {facts['num_streams']} audio streams, numbered from 0; "
        f"number {audio_stream} does not exist"
    )


def _start(facts: dict[str, Any]) -> tuple[Fraction, tuple[str, ...]]:
    """Return where the audio begins after the first picture or sound, in seconds."""
    start_sec = Fraction(facts["first_sec"]) - Fraction(facts["origin_sec"])
    if start_sec <= LATEST_START_SEC:
        return start_sec, ()
    return Fraction(0), (
        f"its audio claims to begin {float(start_sec):.0f} s after the picture: taken from 0",
    )


def _length_sec(facts: dict[str, Any]) -> Fraction | None:
    """Return the length of the audio, as its stream says it, else its container.

    A container's length counts from its first sound or picture; Matroska's from zero.
    """
    ticks = facts["duration_ticks"]
    if ticks is not None and ticks > 0:
        return Fraction(facts["tick_sec"]) * int(ticks)
    if facts["container_sec"] is not None and (whole := Fraction(facts["container_sec"])) > 0:
        from_zero = facts["container"].startswith("matroska")
        origin_sec = 0 if from_zero else Fraction(facts["origin_sec"])
        return max(Fraction(0), whole + origin_sec - Fraction(facts["first_sec"]))
    return None


def _promised_samples(
    facts: dict[str, Any], access: Access, duration_sec: float | None
) -> int | None:
    """Return the length that the file itself states; None where it was estimated.

    Others are measured (ogg, ts: the last time stamp) or guessed from the bit rate (mp3
    without a LAME header, ADTS), or are those of the picture.
    """
    kind = facts["container"].split(",")[0]
    is_own = facts["duration_ticks"] is not None and kind in STATING_LENGTH
    is_tagged_mp3 = kind == "mp3" and Fraction(facts["first_sec"]) > 0
    is_only = kind == "matroska" and facts["alone"]
    if duration_sec is None or not (access == "windowed" or is_own or is_tagged_mp3 or is_only):
        return None
    return to_samples(duration_sec)


def _audio_index(facts: dict[str, Any], *, starts_at_zero: bool) -> AudioIndex:
    return AudioIndex(
        codec=facts["codec"],
        sample_rate_hz=facts["sample_rate_hz"],
        channels=facts["channels"],
        starts_at_zero=starts_at_zero,
        duration_ticks=facts["duration_ticks"],
        tick_sec=Fraction(facts["tick_sec"]),
        frame_samples=facts["frame_samples"],
        bit_rate=facts["bit_rate"],
        fragmented=facts.get("fragmented", False),
        frame_ticks=facts.get("frame_ticks"),
    )


def choose_access(source: Source, container: str, index: AudioIndex) -> tuple[Access, str]:
    """Return how the audio is read, and the reason for it in one line for people.

    In windows only where they were shown to tile exactly; everything else is decoded in one
    pass from its start, which is exact by construction.
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
    if index.codec != "aac":
        return f"{index.codec} in mp4 was not shown to tile exactly"
    if index.fragmented:
        return "the file is fragmented, so its index is not complete"
    # Windows go by time stamp and a pass by counting; uneven stamps would set them apart.
    even_sec = Fraction(index.frame_samples, index.sample_rate_hz)
    if not index.frame_ticks or index.frame_ticks * index.tick_sec != even_sec:
        return "its audio frames are not evenly spaced in time"
    return None


_OBSTACLES: dict[str, Callable[[Source, AudioIndex], str | None]] = {
    "wav": _pcm_obstacle,
    "aiff": _pcm_obstacle,
    "au": _pcm_obstacle,
    "flac": _flac_obstacle,
    "mov": _mp4_obstacle,
}


async def is_chained(read: Read, length_bytes: int) -> bool:
    """Tell whether an Ogg file ends with another stream than those that it begins with.

    Args:
        read: returns the bytes `[start, end)` of the file.
        length_bytes: length of the file.
    """
    head = [*_pages(await read(0, min(EDGE_BYTES, length_bytes)))]
    tail = [*_pages(await read(max(0, length_bytes - EDGE_BYTES), length_bytes))]
    # Streams that run side by side all begin before any goes on.
    begins = [bool(flags & _FIRST_PAGE) for flags, _ in head]
    begins_later = any(later and not before for before, later in pairwise(begins))
    first = {serial for flags, serial in head if flags & _FIRST_PAGE}
    return begins_later or not first.issuperset(serial for _, serial in tail)


def _pages(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield flags and serial number of each page that begins in `data`."""
    place = data.find(_MAGIC)
    while 0 <= place <= len(data) - _HEADER_BYTES:
        yield data[place + 5], int.from_bytes(data[place + 14 : place + 18], "little")
        place = data.find(_MAGIC, place + len(_MAGIC))
