"""Stage `probe`: what a source holds, and how its audio can be read."""

import asyncio
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from longform.errors import NoAudioError, NotMediaError, SourceTooLargeError
from longform.media.access import AudioIndex, choose_access
from longform.media.formats import INPUT_OPTIONS
from longform.media.gateway import Served, serve
from longform.media.mp4_boxes import read_audio_table
from longform.media.policy import SourcePolicy
from longform.media.source import Source
from longform.params import FrozenModel
from longform.timeline import SAMPLE_RATE_HZ

Access = Literal["windowed", "sequential"]

OPEN_TIMEOUT_SEC = 300.0  # seconds; the gateway, which retries, gives up long before


class Media(FrozenModel):
    """What a source holds. Duration and sample count are the container's word, not a promise."""

    container: str  # ffmpeg's name of the demuxer, as "mov,mp4,m4a,3gp,3g2,mj2"
    codec: str
    sample_rate_hz: int
    channels: int
    audio_stream: int  # counted among the audio streams, from 0
    duration_sec: float | None
    num_samples_estimate: int | None  # at 16 kHz
    has_video: bool
    access: Access
    access_reason: str  # one line for people


@dataclass(frozen=True, slots=True)
class _Found:
    """What libavformat says about the chosen stream and its container."""

    container: str
    audio_stream: int
    has_video: bool
    duration_sec: Fraction | None
    index: AudioIndex


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
        found = await _look(served, source, audio_stream)
        served.raise_for_failure()
        table = None
        if found.container.startswith("mov"):
            table = await read_audio_table(served.read, source.length_bytes, found.audio_stream)
    duration = found.duration_sec
    if duration is not None and duration > policy.max_duration_sec:
        raise SourceTooLargeError(
            f"{source.name} says it lasts {float(duration):.0f} s; "
            f"at most {policy.max_duration_sec:.0f} s may be opened"
        )
    access, reason = choose_access(source, found.container, found.index, table)
    return Media(
        container=found.container,
        codec=found.index.codec,
        sample_rate_hz=found.index.sample_rate_hz,
        channels=found.index.channels,
        audio_stream=found.audio_stream,
        duration_sec=None if duration is None else float(duration),
        num_samples_estimate=None if duration is None else round(duration * SAMPLE_RATE_HZ),
        has_video=found.has_video,
        access=access,
        access_reason=reason,
    )


async def _look(served: Served, source: Source, audio_stream: int | None) -> _Found:
    import av

    try:
        return await asyncio.to_thread(_open, served.url, source.name, audio_stream)
    except av.error.FFmpegError as error:
        served.raise_for_failure()
        raise NotMediaError(
            f"{source.name} is no recording in a format that can be opened; "
            "check that it is an audio or video file"
        ) from error


def _open(url: str, name: str, audio_stream: int | None) -> _Found:
    import av

    # The time-out is for libavformat's own loops: the gateway has its own for the source.
    with av.open(url, options=INPUT_OPTIONS, timeout=OPEN_TIMEOUT_SEC) as container:
        streams = list(container.streams.audio)
        number = _choose_stream(streams, name, audio_stream)
        stream = streams[number]
        return _Found(
            container=container.format.name,
            audio_stream=number,
            has_video=any(map(_is_video, container.streams.video)),
            duration_sec=_duration_sec(container, stream),
            index=_audio_index(container, stream),
        )


def _choose_stream(streams: list[Any], name: str, wanted: int | None) -> int:
    from av.stream import Disposition

    if not streams:
        raise NoAudioError(f"{name} has no audio stream, so there is nothing to transcribe")
    if wanted is None:
        default = (
            place for place, one in enumerate(streams) if one.disposition & Disposition.default
        )
        return next(default, 0)
    if wanted >= len(streams):
        raise NoAudioError(f"{name} has {len(streams)} audio streams; there is no number {wanted}")
    return wanted


def _is_video(stream: Any) -> bool:
    from av.stream import Disposition

    return not stream.disposition & Disposition.attached_pic  # a cover is not a video


def _duration_sec(container: Any, stream: Any) -> Fraction | None:
    import av

    if stream.duration is not None and stream.duration > 0:
        return Fraction(stream.duration * stream.time_base)
    if container.duration is not None and container.duration > 0:
        return Fraction(container.duration, av.time_base)
    return None


def _audio_index(container: Any, stream: Any) -> AudioIndex:
    codec = stream.codec_context
    if codec is None or not codec.sample_rate:
        raise NoAudioError("its audio is in a codec that ffmpeg does not know; convert it first")
    starts = {container.start_time or 0, stream.start_time or 0}
    return AudioIndex(
        codec=codec.name,
        sample_rate_hz=codec.sample_rate,
        channels=codec.channels,
        starts_at_zero=starts == {0},
        duration_ticks=stream.duration,
        tick_sec=Fraction(stream.time_base),
        frame_samples=codec.frame_size or 0,
        bit_rate=codec.bit_rate or 0,
    )
