"""What the probe says, and what it refuses."""

import random
import subprocess
from pathlib import Path

import pytest

from longform.errors import (
    LongformError,
    NoAudioError,
    NotMediaError,
    SourceTooLargeError,
    SourceUnavailableError,
)
from longform.media.model import Media
from longform.media.probe import probe as probe_module
from longform.media.probe.probe import AudioTable, probe, read_audio_table
from longform.media.sources.open import open_source
from longform.net.policy import SourcePolicy
from tests.media.conftest import ffmpeg_binaries
from tests.support.range_server import RangeServer


def encode(path: Path, *arguments: str) -> Path:
    """Make a file with ffmpeg."""
    binary = ffmpeg_binaries().get("system", ffmpeg_binaries()["wheel"])
    subprocess.run(
        [binary, "-nostdin", "-v", "error", *arguments, str(path)], check=True, timeout=60
    )
    return path


TONE = ("-f", "lavfi", "-i", "sine=duration=2:sample_rate=44100")
HUM = ("-f", "lavfi", "-i", "sine=frequency=100:duration=2:sample_rate=22050")
PICTURE = ("-f", "lavfi", "-i", "testsrc=size=64x48:rate=5:duration=2")


async def look(path: Path | str, policy: SourcePolicy, audio_stream: int | None = None) -> Media:
    """Open and probe."""
    source = await open_source(str(path), policy, Path())
    return await probe(source, policy, audio_stream)


async def test_what_a_recording_says_of_itself(policy: SourcePolicy, tmp_path: Path) -> None:
    """Container, codec, rate, channels, duration and access of a plain file."""
    media = await look(encode(tmp_path / "a.flac", *TONE, "-ac", "2"), policy)
    assert media.container == "flac"
    assert media.codec == "flac"
    assert (media.sample_rate_hz, media.channels, media.audio_stream) == (44_100, 2, 0)
    assert (media.duration_sec, media.num_samples_estimate) == (2.0, 32_000)
    assert (media.access, media.has_video) == ("windowed", False)
    assert Media.model_validate_json(media.model_dump_json()) == media


async def test_choosing_an_audio_stream(policy: SourcePolicy, tmp_path: Path) -> None:
    """The default stream is taken, or the one asked for; one that is not there is an error."""
    two = ("-map", "0", "-map", "1", "-c:a", "flac", "-disposition:a:1", "default")
    path = encode(tmp_path / "two.mkv", *TONE, *HUM, *two, "-disposition:a:0", "0")
    assert (await look(path, policy)).audio_stream == 1
    assert (await look(path, policy)).sample_rate_hz == 22_050
    assert (await look(path, policy, 0)).sample_rate_hz == 44_100
    with pytest.raises(NoAudioError, match="2 audio streams"):
        await look(path, policy, 2)


async def test_a_cover_is_not_a_video(policy: SourcePolicy, tmp_path: Path) -> None:
    """Cover art, which containers keep as a picture stream, does not make a video."""
    cover = encode(tmp_path / "cover.png", *PICTURE, "-frames:v", "1")
    mapped = ("-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v", "attached_pic")
    path = encode(tmp_path / "song.flac", *TONE, "-i", str(cover), *mapped)
    assert not (await look(path, policy)).has_video


def _bad_files(tmp_path: Path) -> dict[str, tuple[Path, type[LongformError]]]:
    noise = random.Random(4)
    texts = {
        "text.wav": b"this is not audio\n" * 500,
        "page.mp3": b"<!doctype html><html><body>sign in</body></html>" * 50,
        "bytes.m4a": noise.randbytes(200_000),
        "one_byte.wav": b"R",
        "hls.mp4": b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        "concat.mp3": b"ffconcat version 1.0\nfile /etc/passwd\n",
        "dash.mp4": b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>',
        "sdp.wav": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=audio 9 RTP/AVP 0\n",
        "archive.ogg": b"PK\x03\x04" + noise.randbytes(5_000),
    }
    made: dict[str, tuple[Path, type[LongformError]]] = {}
    for name, content in texts.items():
        (tmp_path / name).write_bytes(content)
        made[name] = (tmp_path / name, NotMediaError)
    silent = encode(tmp_path / "silent.mp4", *PICTURE, "-c:v", "mpeg4")
    made["silent.mp4"] = (silent, NoAudioError)
    return made


async def test_bad_files_are_one_line_each(policy: SourcePolicy, tmp_path: Path) -> None:
    """Text, pages, playlists, noise and silent films are refused in one line, by their name."""
    for path, kind in _bad_files(tmp_path).values():
        with pytest.raises(kind, match=path.name) as caught:
            await look(path, policy)
        assert "\n" not in str(caught.value)


async def test_a_playlist_reaches_nothing(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path
) -> None:
    """A playlist in disguise makes nobody open what it names."""
    segment = server.add(b"x" * 1_000, "/segment.ts")
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{segment}\n#EXT-X-ENDLIST\n"
    for name in ("talk.mp4", "talk.m3u8", "talk.wav"):
        (tmp_path / name).write_text(playlist)
        with pytest.raises(NotMediaError):
            await look(tmp_path / name, policy)
    assert server.requests == []


async def test_longer_than_allowed(policy: SourcePolicy, tmp_path: Path) -> None:
    """A recording that says it is too long is refused before it is decoded."""
    path = encode(tmp_path / "a.wav", *TONE)
    with pytest.raises(SourceTooLargeError):
        await look(path, policy.model_copy(update={"max_duration_sec": 1.5}))


async def test_a_source_that_dies_while_it_is_probed(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path
) -> None:
    """A fault of the server is told as that, and not as a fault of the file."""
    path = encode(tmp_path / "a.wav", *TONE, "-t", "2", "-ar", "96000", "-c:a", "pcm_f64le")
    source = await open_source(server.add(path), policy, tmp_path)
    server.habits.status = 500
    with pytest.raises(SourceUnavailableError):
        await probe(source, policy)


async def test_a_wav_that_was_cut_is_planned_by_what_is_there(
    policy: SourcePolicy, tmp_path: Path
) -> None:
    """A wav whose end is missing has the length of its bytes, not of its header."""
    path = encode(tmp_path / "a.wav", *TONE)
    path.write_bytes(path.read_bytes()[:100_000])
    assert (await look(path, policy)).duration_sec == pytest.approx(1.133, abs=0.001)


async def test_a_header_that_promises_too_much_is_read_in_one_pass(
    policy: SourcePolicy, tmp_path: Path
) -> None:
    """An aiff whose end is missing keeps its header's length, so windows are not planned by it."""
    path = encode(tmp_path / "a.aiff", *TONE)
    path.write_bytes(path.read_bytes()[:100_000])
    media = await look(path, policy)
    assert media.access == "sequential"
    assert "promises more" in media.access_reason


async def test_audio_that_begins_later_is_read_in_one_pass(
    policy: SourcePolicy, tmp_path: Path
) -> None:
    """Where audio starts after the picture, time stamps and counts differ: one pass."""
    late = ("-itsoffset", "0.7", *TONE, "-map", "0", "-map", "1", "-c:v", "mpeg4", "-c:a", "aac")
    media = await look(encode(tmp_path / "late.mp4", *PICTURE, *late), policy)
    assert (media.access, media.access_reason) == (
        "sequential",
        "its audio does not begin at time zero",
    )


def _box(kind: bytes, content: bytes = b"", *, wide: bool = False) -> bytes:
    if wide:
        return (1).to_bytes(4, "big") + kind + (16 + len(content)).to_bytes(8, "big") + content
    return (8 + len(content)).to_bytes(4, "big") + kind + content


def _numbers(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(4, "big") for number in numbers)


def _track(handler: bytes, *times: int, edits: int = 1) -> bytes:
    stts = _box(b"stts", _numbers(0, len(times) // 2, *times))
    media = _box(b"hdlr", _numbers(0, 0) + handler) + _box(b"minf", _box(b"stbl", stts))
    return _box(b"trak", _box(b"edts", _box(b"elst", _numbers(0, edits))) + _box(b"mdia", media))


def _movie(*tracks: bytes) -> bytes:
    return _box(b"moov", _box(b"mvhd", b"x" * 99) + b"".join(tracks))


VIDEO = _track(b"vide", 9, 512, 9, 513)


@pytest.mark.parametrize(
    ("content", "table"),
    [
        (_movie(_track(b"soun", 99, 1024)) + _box(b"mdat"), AudioTable(False, 1024)),
        (_movie(VIDEO, _track(b"soun", 99, 1024, 1, 7)), AudioTable(False, 1024)),
        (_box(b"mdat", b"x" * 99, wide=True) + _movie(_track(b"soun", 9, 8)), AudioTable(False, 8)),
        (_movie(_track(b"soun", 99, 1024, 1, 1025)), AudioTable(False, None)),
        (_movie(_track(b"soun", 99, 1024, 2, 1023)), AudioTable(False, None)),
        (_movie(_track(b"soun", 9, 1024, 1, 1023, 9, 1024)), AudioTable(False, None)),
        (_movie(_track(b"soun", 99, 1024, edits=2)), AudioTable(False, None)),
        (_movie(VIDEO), AudioTable(False, None)),
        (_movie(_box(b"mvex"), _track(b"soun", 99, 1024)), AudioTable(True)),
        (_box(b"ftyp") + _box(b"moof") + _movie(), AudioTable(True)),
        (_box(b"free") * 2_000 + _movie(), AudioTable(True)),
        (b"\0\0\0\4ftyp", AudioTable(True)),
        (b"\0\0\0\0mdat" + b"x" * 99, AudioTable(True)),
        (b"", AudioTable(True)),
    ],
)
async def test_sample_tables(content: bytes, table: AudioTable) -> None:
    """Only a complete table of even frames is one by which windows are planned."""

    async def read(start: int, end: int) -> bytes:
        return content[start:end]

    assert await read_audio_table(read, len(content), 0) == table


async def test_joined_audio_is_read_in_one_pass(policy: SourcePolicy, tmp_path: Path) -> None:
    """Copies that were joined have uneven time stamps: windows would lose or double samples."""
    part = encode(tmp_path / "part.m4a", *HUM, "-t", "1.9", "-c:a", "aac")
    joined = encode(tmp_path / "joined.m4a", "-stream_loop", "3", "-i", str(part), "-c", "copy")
    assert (await look(part, policy)).access == "windowed"
    media = await look(joined, policy)
    assert media.access_reason == "its audio frames are not evenly spaced in time"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("import os; os.kill(os.getpid(), 11)", "crashed"),
        ("import sys; sys.exit(9)", "exit code 9"),
        ("while True: pass", "crashed"),
        ("bytearray(2**32)", "exit code 1"),
    ],
)
async def test_a_probe_that_crashes_is_an_error_of_the_file(
    script: str, reason: str, policy: SourcePolicy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash, a loop or a flood of memory in libav ends a child, and is told in one line."""
    path = encode(tmp_path / "a.wav", *TONE)
    (tmp_path / "probe_script.py").write_text(script)
    monkeypatch.setattr(probe_module, "_SCRIPT", tmp_path / "probe_script.py")
    monkeypatch.setattr("longform.media.probe.probe.LOOK_CPU_SEC", 1)
    with pytest.raises(NotMediaError, match=reason):
        await look(path, policy)
