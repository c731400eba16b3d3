"""Audio for the chunking tests: real speech from the bundled recording, and made-up streams."""

from pathlib import Path

import av
import numpy as np
import pytest

from longform.audio import Pcm

WELCOME = Path(__file__).resolve().parents[2] / "examples" / "welcome.flac"


def decode(path: Path) -> Pcm:
    """Decode a recording to int16 mono at 16 kHz with PyAV."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=16_000)
    with av.open(str(path)) as container:
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


@pytest.fixture(scope="session")
def speech_pcm() -> Pcm:
    """About two minutes of real speech."""
    return decode(WELCOME)
