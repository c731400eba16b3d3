"""A recording: a source that has been opened and probed."""

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
