"""Channels of a recording that were transcribed each on its own, on one timeline."""

from collections.abc import Sequence
from dataclasses import dataclass

from longform.transcript.join import FailedSpan, Transcript, join
from longform.transcript.segment import ChunkResult


@dataclass(frozen=True, slots=True)
class ChannelChunks:
    """What became of the macro chunks of one channel, counted from 1; None: of the mix."""

    channel: int | None
    results: tuple[ChunkResult, ...]
    failures: tuple[FailedSpan, ...] = ()


def join_channels(channels: Sequence[ChannelChunks]) -> Transcript:
    """Join each channel, and merge their segments by time.

    Segments of one channel do not overlap; those of two may. The coverage of every channel
    tiles the recording, one channel after the other.

    Raises:
        InvariantError: the chunks of a channel do not tile the recording.
    """
    joined = [_labelled(join(each.results, each.failures), each.channel) for each in channels]
    segments = [segment for transcript in joined for segment in transcript.segments]
    return Transcript(
        segments=tuple(sorted(segments, key=lambda segment: segment.start_sample)),
        coverage=tuple(part for transcript in joined for part in transcript.coverage),
        num_samples=max((transcript.num_samples for transcript in joined), default=0),
    )


def _labelled(transcript: Transcript, channel: int | None) -> Transcript:
    if channel is None:
        return transcript
    label = {"channel": channel}
    return transcript.model_copy(
        update={
            "segments": tuple(one.model_copy(update=label) for one in transcript.segments),
            "coverage": tuple(one.model_copy(update=label) for one in transcript.coverage),
        }
    )
