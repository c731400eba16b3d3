"""Stage `probe`: what a source holds, and how its audio can be read.

libavformat looks at it in a child process: what it reads may be made to break it.
"""

import json
from fractions import Fraction
from typing import Any, Literal

from longform.errors import NoAudioError, NotMediaError, SourceTooLargeError
from longform.media.access import AudioIndex, choose_access
from longform.media.channel_choice import channel_to_read, places_sec
from longform.media.child_process import run_script
from longform.media.formats import INPUT_OPTIONS
from longform.media.gateway import Served, serve
from longform.media.mp4_boxes import read_audio_table
from longform.media.ogg_pages import CHAINED_WARNING, is_chained
from longform.media.policy import SourcePolicy
from longform.media.source import Source
from longform.params import FrozenModel
from longform.timeline import SAMPLE_RATE_HZ, to_samples

Access = Literal["windowed", "sequential"]

LOOK_CPU_SEC = 15  # seconds of CPU; the index of an mp4 of 24 h takes two
LOOK_BYTES = 65_536  # bytes of what the child says
STATING_LENGTH = frozenset({"aiff", "au", "caf", "flac", "mov", "tta", "w64", "wav"})
LATEST_START_SEC = 3_600  # seconds; audio that begins later begins at once, with a warning


class Media(FrozenModel):
    """What a source holds. Duration and sample count are the container's word, not a promise."""

    container: str  # ffmpeg's name of the demuxer, as "mov,mp4,m4a,3gp,3g2,mj2"
    codec: str
    sample_rate_hz: int
    channels: int
    audio_stream: int  # counted among the audio streams, from 0
    channel: int | None = None  # the one that is read, from 0; None: a mix of all
    duration_sec: float | None
    num_samples_estimate: int | None  # at 16 kHz
    promised_samples: int | None = None  # at 16 kHz; where a header or an index says so
    origin_sec: float = 0.0  # the container's time at the recording's zero
    start_sample: int = 0  # where the audio begins on the recording's timeline, at 16 kHz
    has_video: bool
    access: Access
    access_reason: str  # one line for people
    warnings: tuple[str, ...] = ()


async def probe(
    source: Source,
    policy: SourcePolicy,
    ffmpeg: str | None = None,
    audio_stream: int | None = None,
) -> Media:
    """Read container, streams and duration, and choose how the audio is to be read.

    Args:
        source: what to look at.
        policy: its limits.
        ffmpeg: unused by this implementation, which asks libavformat through PyAV.
        audio_stream: which audio stream, from 0; None takes the default one, else the first.

    Raises:
        NotMediaError: in no format that may be opened.
        NoAudioError: no audio stream, or not that one.
        SourceTooLargeError: longer than the policy allows.
        RetryableError: the source could not be read.
    """
    async with serve(source, policy) as served:
        facts = await _look(served, source, audio_stream)
        table = None
        if facts["container"].startswith("mov"):
            table = await read_audio_table(served.read, source.length_bytes, facts["audio_stream"])
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
        access, reason = choose_access(source, facts["container"], index, table)
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
        "look.py", order, served, cpu_sec=LOOK_CPU_SEC, max_bytes=LOOK_BYTES
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
            f"{name} is no recording in a format that can be opened; "
            "check that it is an audio or video file"
        )
    if not facts["num_streams"]:
        raise NoAudioError(f"{name} has no audio stream, so there is nothing to transcribe")
    raise NoAudioError(
        f"{name} has {facts['num_streams']} audio streams, numbered from 0; "
        f"there is no number {audio_stream}"
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
    )
