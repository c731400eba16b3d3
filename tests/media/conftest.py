"""Fixtures of the media tests: a server with habits, quick policies, every ffmpeg at hand."""

import shutil
from collections.abc import Iterator

import imageio_ffmpeg
import pytest

from longform.media.sources import cloud_clients
from longform.net.policy import SourcePolicy
from tests.support.gcs_server import GcsServer, gcs_server
from tests.support.range_server import RangeServer, range_server


def ffmpeg_binaries() -> dict[str, str]:
    """Return the ffmpeg binaries of this machine, by where they come from."""
    found = {"wheel": imageio_ffmpeg.get_ffmpeg_exe()}
    if (system := shutil.which("ffmpeg")) is not None:
        found["system"] = system
    return found


@pytest.fixture(params=sorted(ffmpeg_binaries()))
def ffmpeg_binary(request: pytest.FixtureRequest) -> str:
    """Each ffmpeg of this machine in turn: they differ where they seek."""
    return ffmpeg_binaries()[request.param]


@pytest.fixture
def server() -> Iterator[RangeServer]:
    """A well-behaved range server; tests change its habits."""
    with range_server() as running:
        yield running


@pytest.fixture
def policy() -> SourcePolicy:
    """A policy for servers on loopback: short pauses, and time-outs for a busy machine."""
    return SourcePolicy(
        allow_private_hosts=True,
        connect_timeout_sec=10.0,
        stall_timeout_sec=10.0,
        max_attempts=3,
        backoff_base_sec=0.005,
        backoff_max_sec=0.02,
    )


@pytest.fixture(scope="session")
def gcs_service() -> Iterator[GcsServer]:
    """Start an emulator of Google Cloud Storage on a free port."""
    with gcs_server() as server:
        yield server


@pytest.fixture
def gcs(gcs_service: GcsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[GcsServer]:
    """Point this process at the emulator."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_service.url)
    cloud_clients.gcs_file_system.cache_clear()
    yield gcs_service
    cloud_clients.gcs_file_system.cache_clear()
