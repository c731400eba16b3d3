"""Files that send their reader elsewhere: refused, or read without going there."""

import asyncio
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from longform.audio import Pcm
from longform.errors import LongformError, NoAudioError, NotMediaError
from longform.media.decode.extract import extract_all
from longform.media.decode.ffmpeg_args import find_ffmpeg
from longform.pipeline.planning import open_recording
from longform.settings import Settings
from tests.hostile.conftest import LOUD, Surroundings
from tests.hostile.lures import SECONDS, TEXTS, made_lures

# What each file with references ends with: its own second of audio, or an error.
MADE: Mapping[str, type[LongformError] | None] = {
    "external data by url.mp4": NotMediaError,
    "external data by file url.mov": NotMediaError,
    "external data by alias.mov": NotMediaError,
    "external data by name.mov": NotMediaError,
    "reference movie.mov": NoAudioError,
    "attachment.mkv": None,
    "linked segment.mkv": None,
    "linked picture.mp3": None,
    "web links.mp3": None,
    "linked information.mp3": None,
    "playlist before audio.mp3": None,
    "playlist in a chunk.wav": None,
    "cue and labels.wav": None,
    "broadcast link.wav": None,
    "playlist as brand.mp4": NotMediaError,
    "operational atom.mxf": None,
    "titled url.ogg": None,
    "reference.avi": NoAudioError,
    "playlist in tags.flac": None,
}


async def heard(url: str, folder: Path) -> Pcm:
    """Open, probe and decode, as a run does."""
    recording = await open_recording(url, Settings(), folder)
    return np.concatenate([block async for block in extract_all(recording)])


@pytest.fixture(scope="session")
def lures(
    session_traps: tuple[object, object, Path], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, bytes]:
    """Make the files with audio once."""
    listening, _, secret = session_traps
    folder = tmp_path_factory.mktemp("lures")
    made = made_lures(folder, find_ffmpeg(None), listening.port, secret)
    assert sorted(made) == sorted(MADE)
    return made


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize(
    "remote", [False, pytest.param(True, marks=pytest.mark.full)], ids=["file", "url"]
)
def test_playlists_are_no_media(
    around: Surroundings, tmp_path: Path, name: str, remote: bool
) -> None:
    """A text that names other places is no recording, whatever its own name is."""
    content = around.fill(TEXTS[name]).encode()
    path = around.secret.parent / name  # beside the secret: relative names would find it
    path.write_bytes(content)
    around.public.add(content, "/talk.mp4")
    url = "http://public.example/talk.mp4" if remote else str(path)
    with pytest.raises(NotMediaError) as caught:
        asyncio.run(heard(url, tmp_path))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", MADE)
def test_references_are_not_followed(
    around: Surroundings, lures: Mapping[str, bytes], tmp_path: Path, name: str
) -> None:
    """What a recording refers to is not opened; what it holds itself is what is heard."""
    path = around.secret.parent / name
    path.write_bytes(lures[name])
    error = MADE[name]
    if error is not None:
        with pytest.raises(error) as caught:
            asyncio.run(heard(str(path), tmp_path))
        assert str(caught.value).isprintable()
        return
    pcm = asyncio.run(heard(str(path), tmp_path))
    assert len(pcm) == pytest.approx(16_000 * SECONDS, rel=0.1)
    assert np.abs(pcm.astype(int)).max() < LOUD // 4


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("hls of files.mp4", ("-f", "hls", "-allowed_extensions", "ALL")),
        ("hls of urls.mp4", ("-f", "hls", "-allowed_extensions", "ALL")),
        ("ffconcat of files.mp4", ("-f", "concat", "-safe", "0")),
    ],
)
def test_the_lures_lure(
    around: Surroundings, tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    """An ffmpeg without our limits goes where they lead: what is refused is a real danger."""
    (tmp_path / name).write_text(around.fill(TEXTS[name]))
    command = [find_ffmpeg(None), "-nostdin", "-rw_timeout", "300000", *options]
    command += ["-protocol_whitelist", "file,http,tcp", "-i", str(tmp_path / name)]
    subprocess.run([*command, "-f", "null", "-"], capture_output=True, timeout=60, check=False)
    assert around.listening.callers() + around.files.openings() > 0
