"""A recording: a source that has been opened and probed."""

import asyncio

from longform.media.block_store import discard_blocks
from longform.media.policy import SourcePolicy
from longform.media.probe import Media
from longform.media.source import Source
from longform.params import FrozenModel


class Recording(FrozenModel):
    """All that a process, here or on another host, needs to read a recording's audio.

    `ffmpeg` is the operator's binary; None finds one on the host that reads.
    """

    source: Source
    media: Media
    policy: SourcePolicy
    ffmpeg: str | None = None


async def forget_blocks(recording: Recording) -> None:
    """Remove what processes of this host have shared of a recording; at the end of its run."""
    await asyncio.to_thread(discard_blocks, recording.policy.block_dir, recording.source.blocks)
