"""What the probe says, and what it refuses."""

import random
import struct
import subprocess
from pathlib import Path
from types import SimpleNamespace

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
from longform.media.probe import probe_script
from longform.media.probe.probe import probe
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


def _indexed(*timestamps: int, frames: int | None = None) -> SimpleNamespace:
    """Return a stream with such an index, whose header counts so many frames."""
    entries = [SimpleNamespace(timestamp=at) for at in timestamps]
    return SimpleNamespace(index_entries=entries, frames=len(entries) if frames is None else frames)


@pytest.mark.parametrize(
    ("stream", "fragmented", "frame_ticks"),
    [
        (_indexed(0, 1024, 2048, 3072), False, 1024),
        (_indexed(-1024, 0, 1024), False, 1024),
        (_indexed(0, 1024, 2048, 3071), False, None),
        (_indexed(0, 1023, 2048, 3072), False, None),
        (_indexed(0, 1024, 512, 1536, frames=3), False, None),
        (_indexed(0, 1024, 2048, 3072, frames=2), True, 1024),
        (_indexed(0, 1024, 2048, 3072, frames=0), True, 1024),
        (_indexed(0), False, None),
        (_indexed(), True, None),
    ],
)
def test_indexes_of_mp4_files(
    stream: SimpleNamespace, fragmented: bool, frame_ticks: int | None
) -> None:
    """Only a complete index of even frames is one by which windows are planned."""
    expected = {"fragmented": fragmented, "frame_ticks": frame_ticks}
    assert probe_script._mp4_index(stream) == expected


def test_an_index_beyond_a_day_is_not_gone_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the look at an index costs is bounded; a longer one counts as uneven."""
    monkeypatch.setattr(probe_script, "MAX_FRAMES", 3)
    assert probe_script._mp4_index(_indexed(0, 8, 16))["frame_ticks"] == 8
    assert probe_script._mp4_index(_indexed(0, 8, 16, 24))["frame_ticks"] is None


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _with_edits(content: bytes, *edits: tuple[int, int]) -> bytes:
    """Return an mp4 whose index lies at its end, with another edit list.

    Args:
        content: the file; its one track has an edit list.
        edits: duration in ms, and the media time in samples from which it is played.
    """
    entries = b"".join(struct.pack(">Iihh", *edit, 1, 0) for edit in edits)
    new = _box(b"elst", struct.pack(">II", 0, len(edits)) + entries)
    place = content.index(b"elst") - 4
    old_bytes = int.from_bytes(content[place : place + 4])
    made = bytearray(content[:place] + new + content[place + old_bytes :])
    for kind in (b"moov", b"trak", b"edts"):
        at = content.index(kind) - 4
        size = int.from_bytes(made[at : at + 4]) + len(new) - old_bytes
        made[at : at + 4] = size.to_bytes(4)
    return bytes(made)


async def test_audio_that_an_edit_list_cuts_is_read_in_one_pass(
    policy: SourcePolicy, tmp_path: Path
) -> None:
    """An edit list that begins late is no obstacle; one with a cut inside is."""
    long = ("-f", "lavfi", "-i", "sine=duration=20:sample_rate=48000", "-c:a", "aac")
    content = encode(tmp_path / "a.m4a", *long).read_bytes()
    edited = tmp_path / "edited.m4a"
    for edits, access in (
        ([(20_000, 1_024)], "windowed"),
        ([(5_000, 1_024), (10_000, 480_000)], "sequential"),
        ([(5_000, 1_024), (15_000, 241_024)], "sequential"),
    ):
        edited.write_bytes(_with_edits(content, *edits))
        media = await look(edited, policy)
        assert media.access == access
        if access == "sequential":
            assert media.access_reason == "its audio frames are not evenly spaced in time"


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
