"""Stage `extract`: audio at 16 kHz mono, as a stream, of a window or of the whole recording."""

import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing

import numpy as np

from longform.chunking.micro_chunk import Pcm
from longform.errors import (
    DecodeInterruptedError,
    InvariantError,
    NotMediaError,
    SourceTooLargeError,
    TruncatedMediaError,
)
from longform.media.decoder import (
    BLOCK_SAMPLES,
    find_ffmpeg,
    whole_command,
    window_command,
    window_seek_sec,
)
from longform.media.decoding import Decoding, Outcome
from longform.media.gateway import Served, serve
from longform.media.recording import Recording
from longform.media.source import Source
from longform.timeline import SAMPLE_RATE_HZ, Span, to_samples, to_seconds

logger = logging.getLogger(__name__)

OVERRUN_SEC = 1.0  # seconds decoded beyond the longest duration, to notice that it is exceeded


async def extract_window(
    recording: Recording, span: Span, *, open_ended: bool = False
) -> AsyncGenerator[Pcm, None]:
    """Yield the audio of `span`, reading only the byte ranges it needs.

    Args:
        recording: one whose access is windowed.
        span: what to decode, on the recording's timeline.
        open_ended: go on to the end of the audio, wherever it is; then fewer samples than
            planned are no error.

    Yields:
        int16 blocks, exactly `span.num_samples` samples in all unless open-ended.

    Raises:
        RetryableError: the source could not be read, or ffmpeg was interrupted.
        TruncatedMediaError: the audio ends inside the span.
        SourceError: the source changed, or cannot be decoded.
    """
    if recording.media.access != "windowed":
        raise InvariantError(f"{recording.source.name} is not read in windows")
    if span.num_samples == 0 and not open_ended:
        return
    async with serve(recording.source, recording.policy) as served:
        command = window_command(
            find_ffmpeg(recording.ffmpeg),
            served.url,
            recording.media,
            span,
            open_ended=open_ended,
        )
        position = span.start_sample
        from_sample = window_seek_sec(span) * SAMPLE_RATE_HZ
        decoded = _decode(command, served, recording.source, span.start_sample - from_sample)
        async with aclosing(decoded) as blocks:
            async for block in blocks:
                part = block if open_ended else block[: span.end_sample - position]
                position += len(part)
                yield part
    if position < span.end_sample and not open_ended:
        raise TruncatedMediaError(
            f"{recording.source.name} ends at {to_seconds(position):.3f} s, before the "
            f"{to_seconds(span.end_sample):.3f} s that its header promises"
        )


async def extract_all(recording: Recording) -> AsyncGenerator[Pcm, None]:
    """Yield the audio of the whole recording in one pass.

    Yields:
        int16 blocks, in order.

    Raises:
        RetryableError: the source could not be read, or ffmpeg was interrupted.
        SourceTooLargeError: longer than the policy allows.
        SourceError: the source changed, or cannot be decoded.
    """
    limit_sec = recording.policy.max_duration_sec
    async with serve(recording.source, recording.policy) as served:
        command = whole_command(
            find_ffmpeg(recording.ffmpeg),
            served.url,
            recording.media,
            limit_sec + OVERRUN_SEC,
        )
        num_samples = recording.media.start_sample
        for silence in silent_blocks(num_samples):
            yield silence
        async with aclosing(_decode(command, served, recording.source)) as blocks:
            async for block in blocks:
                num_samples += len(block)
                if num_samples > to_samples(limit_sec):
                    raise SourceTooLargeError(
                        f"{recording.source.name} is longer than {limit_sec:.0f} s, "
                        "the longest that may be opened"
                    )
                yield block
    if num_samples == recording.media.start_sample:
        raise NotMediaError(f"{recording.source.name} holds no audio that can be decoded")


def silent_blocks(num_samples: int) -> Iterator[Pcm]:
    """Yield silence: what a player plays where a recording has no audio yet."""
    for start in range(0, num_samples, BLOCK_SAMPLES):
        yield np.zeros(min(BLOCK_SAMPLES, num_samples - start), "<i2")


async def _decode(
    command: Sequence[str], served: Served, source: Source, due_sample: int | None = None
) -> AsyncGenerator[Pcm, None]:
    """Yield what ffmpeg decodes, after silence where it begins later than `due_sample`."""
    num_samples = 0
    async with Decoding(command, served) as decoding:
        async with aclosing(decoding.blocks()) as blocks:
            async for block in blocks:
                if num_samples == 0 and due_sample is not None:
                    first_sample = to_samples(await decoding.first_time_sec() or 0.0)
                    for silence in silent_blocks(first_sample - due_sample):
                        yield silence
                num_samples += len(block)
                yield block
        outcome = await decoding.outcome()
    _require_success(outcome, served, source, num_samples)


def _require_success(outcome: Outcome, served: Served, source: Source, num_samples: int) -> None:
    # First the gateway: whatever ffmpeg says, missing bytes are the cause and not its symptom.
    served.raise_for_failure()
    if outcome.exit_code > 0 and num_samples == 0:
        raise NotMediaError(f"{source.name} cannot be decoded: {outcome.last_message}")
    if outcome.exit_code != 0:
        raise DecodeInterruptedError(
            f"ffmpeg ended early in {source.name}, after {to_seconds(num_samples):.3f} s: "
            f"{outcome.last_message}"
        )
    if outcome.num_messages:
        logger.warning(
            "%s has %d damaged places; the first kept is: %s",
            source.name,
            outcome.num_messages,
            outcome.messages[0],
        )
