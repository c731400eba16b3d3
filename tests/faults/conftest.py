"""Fixtures of the fault suite: recordings in every container, small blocks, a patient policy."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from longform.media.block_cache import OVERLAP_BYTES, CacheLimits
from longform.net.policy import SourcePolicy
from tests.media.conftest import ffmpeg_binaries
from tests.media.containers import CONTAINERS, make
from tests.support.fault_server import FaultServer, fault_server

SECONDS = 8  # of speech: 33 to 256 KB, dozens of blocks
BLOCK_BYTES = 8_192  # bytes; as many requests for so little audio as hours of it would take
CHECK_BYTES = 256

NAMES = (
    "mulaw_8k.wav",
    "plain.flac",
    "pcm16.aiff",
    "aac.m4a",
    "moov_at_the_end.m4a",
    "fragmented.mp4",
    "cbr.mp3",
    "opus.ogg",
    "opus.webm",
    "wma.wma",
    "transport.ts",
)
UNCOMPRESSED = frozenset({"plain.flac", "pcm16.aiff"})  # at the rate of speech, to be small


@pytest.fixture(scope="session")
def recordings(media_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same speech in every container."""
    folder = tmp_path_factory.mktemp("faults")
    maker = ffmpeg_binaries().get("system", ffmpeg_binaries()["wheel"])
    made = {}
    for container in CONTAINERS:
        if container.name in NAMES:
            extra = ("-ar", "16000", "-ac", "1") if container.name in UNCOMPRESSED else ()
            wanted = replace(container, arguments=container.arguments + extra)
            made[container.name] = make(
                wanted, media_dir / "sonnet3.mp3", folder, maker, seconds=SECONDS
            )
    return made


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Divide seconds of audio into as many blocks and samples as hours of it would have."""
    limits = CacheLimits(block_bytes=BLOCK_BYTES, overlap_bytes=OVERLAP_BYTES)
    monkeypatch.setattr("longform.media.block_cache.REMOTE_LIMITS", limits)
    monkeypatch.setattr("longform.media.sources.fingerprint.BLOCK_BYTES", BLOCK_BYTES)
    monkeypatch.setattr("longform.media.sources.fingerprint.CHECK_BYTES", CHECK_BYTES)
    monkeypatch.setattr("longform.media.sources.fingerprint.WHOLE_BYTES", CHECK_BYTES)


@pytest.fixture
def faulty() -> Iterator[FaultServer]:
    """A server that goes wrong when it is told to."""
    with fault_server() as server:
        yield server


@pytest.fixture
def policy() -> SourcePolicy:
    """A policy with quick pauses, and more patience than a busy machine can use up."""
    return SourcePolicy(
        allow_private_hosts=True,
        connect_timeout_sec=10.0,
        stall_timeout_sec=5.0,
        max_attempts=10,
        backoff_base_sec=0.01,
        backoff_max_sec=0.05,
    )
