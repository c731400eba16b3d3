"""Stage `extract`: audio at 16 kHz mono, as a stream, of a window or of the whole recording."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from longform.audio import SAMPLE_RATE_HZ, Pcm, Span, to_samples, to_seconds
from longform.errors import (
    InvariantError,
    NotMediaError,
    ParameterError,
    SourceTooLargeError,
    TruncatedMediaError,
)
from longform.media.decode.ffmpeg_args import (
    find_ffmpeg,
    whole_command,
    window_command,
    window_seek_sec,
)
from longform.media.decode.gap_filling import Reading, silent_blocks
from longform.media.gateway.gateway import serve
from longform.media.model import DamageReport, Recording

OVERRUN_SEC = 1.0  # seconds decoded beyond the longest duration, to notice that it is exceeded
TAIL_SEC = 0.25  # seconds by which headers are wrong: priming, padding and rounding


async def extract_window(
    recording: Recording,
    span: Span,
    *,
    open_ended: bool = False,
    damage: DamageReport | None = None,
) -> AsyncGenerator[Pcm, None]:
    """Yield the audio of `span`, reading only the byte ranges it needs.

    Args:
        recording: one whose access is windowed.
        span: what to decode, on the recording's timeline.
        open_ended: go on to the end of the audio, wherever it is.
        damage: takes what was lost. It names the rest of the span where the audio ends too
            soon; without it that is an error.

    Yields:
        int16 blocks, exactly `span.num_samples` samples in all unless the audio ends before,
        or the span is open-ended.

    Raises:
        RetryableError: the source could not be read, or ffmpeg was interrupted.
        SourceTooLargeError: longer than the policy allows.
        TruncatedMediaError: the audio ends inside the span, and there is no `damage`.
        SourceError: the source changed, or cannot be decoded.
    """
    if recording.media.access != "windowed":
        raise InvariantError(f"{recording.source.name} is not read in windows")
    if span.num_samples == 0 and not open_ended:
        return
    async with serve(recording.source, recording.policy) as served:
        reading = Reading(
            recording,
            served,
            window_command(
                find_ffmpeg(recording.ffmpeg),
                served.url,
                recording.media,
                span,
                open_ended=open_ended,
            ),
            span.start_sample,
            from_sample=window_seek_sec(span) * SAMPLE_RATE_HZ,
            end_sample=span.end_sample,
            damage=damage,
        )
        position = span.start_sample
        async with aclosing(reading.blocks()) as blocks:
            async for block in blocks:
                part = block if open_ended else block[: span.end_sample - position]
                position += len(part)
                _require_allowed(recording, position)
                yield part
    tolerance = to_samples(TAIL_SEC) if open_ended else 0
    if position >= span.end_sample - tolerance and not reading.gave_up:
        return
    reason = _ends_early(recording, position, reading)
    if position == span.start_sample and not reading.gave_up:
        reason = "the file holds no audio here, though its header promises some"
    if damage is not None:
        damage.add(position, max(span.end_sample, position + 1), reason)
    else:
        raise TruncatedMediaError(f"{recording.source.name}: {reason}")


async def extract_all(
    recording: Recording, damage: DamageReport | None = None
) -> AsyncGenerator[Pcm, None]:
    """Yield the audio of the whole recording in one pass.

    Args:
        recording: what to decode.
        damage: takes what was lost, always before the block that holds it is yielded. What a
            header promises behind the end of the audio is not yielded.

    Yields:
        int16 blocks, in order.

    Raises:
        RetryableError: the source could not be read, or ffmpeg was interrupted.
        SourceTooLargeError: longer than the policy allows.
        SourceError: the source changed, or cannot be decoded.
    """
    limit_sec = recording.policy.max_duration_sec
    first_sample = recording.media.start_sample
    position = first_sample
    async with serve(recording.source, recording.policy) as served:
        reading = Reading(
            recording,
            served,
            whole_command(
                find_ffmpeg(recording.ffmpeg), served.url, recording.media, limit_sec + OVERRUN_SEC
            ),
            first_sample,
            damage=damage,
        )
        for silence in silent_blocks(first_sample):
            yield silence
        async with aclosing(reading.blocks()) as blocks:
            async for block in blocks:
                position += len(block)
                _require_allowed(recording, position)
                yield block
    if position == first_sample:
        raise NotMediaError(f"{recording.source.name} holds no audio that can be decoded")
    promised = recording.media.promised_samples or 0
    is_short = position < promised - to_samples(TAIL_SEC)
    if damage is not None and (is_short or reading.gave_up):
        reason = _ends_early(recording, position, reading)
        damage.add(position, max(position + 1, promised), reason)


def _require_allowed(recording: Recording, position: int) -> None:
    limit_sec = recording.policy.max_duration_sec
    if position > to_samples(limit_sec):
        raise SourceTooLargeError(
            f"{recording.source.name} is longer than {limit_sec:.3f} s, "
            "the longest that may be opened"
        )


def _ends_early(recording: Recording, position: int, reading: Reading) -> str:
    if reading.gave_up:
        return f"the decoder gives up at {to_seconds(position):.3f} s ({reading.gave_up})"
    promised = recording.media.promised_samples or recording.media.num_samples_estimate or 0
    return (
        f"the audio ends at {to_seconds(position):.3f} s, "
        f"its header promises {to_seconds(promised):.3f} s"
    )


# The channels of a recording as recordings of their own.


MAX_CHANNELS = 8  # a conference bridge, 7.1 sound; each costs as much as a recording


def split_channels(recording: Recording) -> tuple[Recording, ...]:
    """Return a recording for each channel, in order; the recording itself where it has one.

    Raises:
        ParameterError: more channels than are transcribed apart.
    """
    media = recording.media
    if media.channels > MAX_CHANNELS:
        raise ParameterError(
            f"channels: {recording.source.name} has {media.channels} channels, and at most "
            f"{MAX_CHANNELS} can be transcribed apart: use channels=mix"
        )
    if media.channels < 2:
        return (recording,)
    return tuple(
        recording.model_copy(update={"media": media.model_copy(update={"channel": number})})
        for number in range(media.channels)
    )
