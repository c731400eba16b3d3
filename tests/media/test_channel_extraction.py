"""The channels of a recording, as the decoder gives them."""

import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest

from longform.audio import SAMPLE_RATE_HZ, Span
from longform.errors import ParameterError
from longform.media.decode.extract import extract_all, extract_window, split_channels
from longform.media.decode.ffmpeg_args import find_ffmpeg
from longform.media.model import Recording
from longform.pipeline.planning import open_recording
from longform.settings import Settings


def tones(num_channels: int, num_samples: int = 32_000) -> np.ndarray:
    """Return int16 audio, shape (num_samples, num_channels), another constant in each."""
    levels = (np.arange(num_channels) + 1) * 1_000
    return np.broadcast_to(levels, (num_samples, num_channels)).astype("<i2")


async def recording_of(folder: Path, pcm: np.ndarray, suffix: str = "wav") -> Recording:
    """Write audio as a file and open it."""
    path = folder / "call.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(pcm.shape[1])
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(pcm.tobytes())
    if suffix != "wav":
        other = path.with_suffix(f".{suffix}")
        command = [find_ffmpeg(), "-v", "error", "-i", str(path), "-c:a", "copy", str(other)]
        subprocess.run(command, check=True)  # noqa: ASYNC221
        path = other
    return await open_recording(str(path), Settings(), folder)


@pytest.mark.parametrize("suffix", ["wav", "mkv"])
@pytest.mark.parametrize("num_channels", [2, 3, 6])
async def test_each_channel_has_its_own_samples(
    tmp_path: Path, num_channels: int, suffix: str
) -> None:
    """Channel by channel, read in windows or in one pass, come exactly that channel's samples."""
    pcm = tones(num_channels)
    recording = await recording_of(tmp_path, pcm, suffix)
    parts = split_channels(recording)
    assert len(parts) == num_channels
    for number, part in enumerate(parts):
        windowed = part.media.access == "windowed"
        blocks = extract_window(part, Span(0, len(pcm))) if windowed else extract_all(part)
        found = np.concatenate([block async for block in blocks])
        np.testing.assert_array_equal(found, pcm[:, number])


async def test_one_channel_is_not_split(tmp_path: Path) -> None:
    """A mono recording stays as it is."""
    recording = await recording_of(tmp_path, tones(1))
    assert split_channels(recording) == (recording,)


async def test_too_many_channels_are_refused(tmp_path: Path) -> None:
    """More channels than are transcribed apart: the message has both numbers and the way out."""
    recording = await recording_of(tmp_path, tones(2))
    media = recording.media.model_copy(update={"channels": 12})
    with pytest.raises(ParameterError, match=r"12 channels.*8.*channels=mix"):
        split_channels(recording.model_copy(update={"media": media}))
