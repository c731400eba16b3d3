"""The channels of a recording as recordings of their own."""

from longform.errors import ParameterError
from longform.media.recording import Recording

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
