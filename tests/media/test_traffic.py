"""How many bytes a whole run takes from the server, counted there."""

import subprocess
from pathlib import Path

import pytest

from longform.net.policy import SourcePolicy
from longform.params import TranscribeParams
from tests.media.conftest import ffmpeg_binaries
from tests.media.traffic import read_in_processes
from tests.support.fault_server import Served, fault_server

MOST = 1.05  # times the file
FORMATS = {
    "flac": ("-c:a", "flac"),
    "wav": ("-c:a", "pcm_s16le"),
    "aiff": ("-c:a", "pcm_s16be"),
    "m4a": ("-c:a", "aac", "-b:a", "64k", "-movflags", "+faststart"),
    "end.m4a": ("-c:a", "aac", "-b:a", "64k"),
    "mp3": ("-c:a", "libmp3lame", "-b:a", "64k"),
    "ogg": ("-c:a", "libopus", "-b:a", "32k"),
}


def make_long(speech: Path, folder: Path, suffix: str, times: int) -> bytes:
    """Repeat a recording, in another format."""
    path = folder / f"long.{suffix}"
    binaries = ffmpeg_binaries()
    command = [binaries.get("system", binaries["wheel"]), "-nostdin", "-v", "error"]
    command += ["-stream_loop", str(times - 1), "-i", str(speech), *FORMATS[suffix], str(path)]
    subprocess.run(command, check=True, timeout=500)
    return path.read_bytes()


async def _ratio(
    content: bytes, policy: SourcePolicy, folder: Path, params: TranscribeParams
) -> float:
    with fault_server() as server:
        server.served = Served(content)
        num_samples = await read_in_processes(server.url, policy, folder, params)
        assert num_samples > 0
        assert server.most_open <= 4 * 4  # 4 processes, each with at most 4 requests
        return server.bytes_sent / len(content)


@pytest.fixture
def shared(policy: SourcePolicy, tmp_path: Path) -> SourcePolicy:
    """A patient policy whose processes share what they fetch."""
    changes = {"block_dir": str(tmp_path / "blocks"), "stall_timeout_sec": 30.0}
    return policy.model_copy(update=changes)


@pytest.mark.media
async def test_four_processes_fetch_a_file_about_once(
    media_dir: Path, shared: SourcePolicy, tmp_path: Path
) -> None:
    """Searches and chunks of 4 minutes of flac, in 4 processes at once: 1.05 times the file."""
    content = make_long(media_dir / "two_cities.wav", tmp_path, "flac", 3)
    params = TranscribeParams(macro_chunk_size_sec=40, chunking="silence")
    assert 1.0 <= await _ratio(content, shared, tmp_path, params) <= MOST
    assert list((tmp_path / "blocks").iterdir()) == []


@pytest.mark.media
@pytest.mark.full
async def test_without_the_shared_folder_it_is_more(
    media_dir: Path, shared: SourcePolicy, tmp_path: Path
) -> None:
    """The limit is one that can be missed: alone, each process fetches every boundary itself."""
    content = make_long(media_dir / "two_cities.wav", tmp_path, "flac", 3)
    params = TranscribeParams(macro_chunk_size_sec=40, chunking="silence")
    alone = shared.model_copy(update={"block_dir": None})
    assert await _ratio(content, alone, tmp_path, params) > MOST


@pytest.mark.media
@pytest.mark.full
@pytest.mark.parametrize("suffix", FORMATS)
async def test_half_an_hour_is_fetched_about_once(
    suffix: str, media_dir: Path, shared: SourcePolicy, tmp_path: Path
) -> None:
    """Half an hour of speech in each format, with the defaults of a run: 1.05 times the file."""
    content = make_long(media_dir / "two_cities.wav", tmp_path, suffix, 21)
    assert 1.0 <= await _ratio(content, shared, tmp_path, TranscribeParams()) <= MOST
