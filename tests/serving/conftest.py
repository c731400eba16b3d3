"""A model service whose engine answers at once, or waits at a gate."""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from longform.audio import SAMPLE_RATE_HZ, Pcm
from longform.speech.remote.chunk_protocol import to_wav
from tests.conftest import WELCOME
from tests.support.gated_engine import GATE, Gate
from tests.support.model_service import RunningService, service_in_thread

PATIENCE_SEC = 60.0


@pytest.fixture(scope="package")
def plain_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """One service with limits that no test reaches, for all tests that leave it as it is."""
    with service_in_thread(tmp_path_factory.mktemp("home")) as service:
        yield service


@pytest.fixture
def gate() -> Iterator[Gate]:
    """The gate before the engine: open, and open again after the test."""
    GATE.reset()
    yield GATE
    GATE.reset()


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have uploads spooled to a folder of this test's own."""
    folder = tmp_path / "spool"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(scope="session")
def speech() -> Pcm:
    """Return the bundled recording, int16 at 16 kHz."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)
    with av.open(str(WELCOME)) as container:
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


@pytest.fixture(scope="session")
def speech_wav(speech: Pcm) -> bytes:
    """Return six seconds of speech as a WAV file: one micro chunk."""
    return to_wav(speech[: 6 * SAMPLE_RATE_HZ])


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    """Wait until something is so; fail after a time in which it would have been by far."""
    deadline = time.monotonic() + PATIENCE_SEC
    while not is_so():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)
