"""Audio is where a player plays it: offsets, edit lists, priming, gaps, jumps, new parameters."""

import hashlib
import subprocess
from collections.abc import Callable, Container, Iterable
from pathlib import Path
from typing import Any

import pytest

from longform.media.decode.extract import extract_all
from longform.net.policy import SourcePolicy
from tests.media.test_extract import collect, open_recording, require_equal_ways
from tests.support.chirps import encode, find_mark, remux, write_marks

MARKS_SEC = (2.0, 6.0)
EXACT_SEC, LOSSY_SEC = 0.001, 0.005
PICTURE = ("-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=8")
# Without perceptual noise substitution: what a decoder makes up depends on where it began, and the
# ffmpeg of the wheel, which encodes where there is no other, makes much use of it.
AAC = ("-c:a", "aac", "-b:a", "96k", "-aac_pns", "0")
VIDEO = ("-map", "0:v", "-map", "1:a", "-c:v", "mpeg4")

Maker = Callable[[Path, Path], Path]


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8 s of quiet noise with marks at 2 and 6 s."""
    return write_marks(tmp_path_factory.mktemp("marked") / "marked.wav", 8.0, MARKS_SEC)


def _late(name: str, *codec: str, offset_sec: float = 0.75) -> Maker:
    def make(marked: Path, folder: Path) -> Path:
        late = (*PICTURE, "-itsoffset", offset_sec, "-i", marked, *VIDEO, *(codec or AAC))
        return encode(folder / name, *late)

    return make


def _plain(name: str, *arguments: str) -> Maker:
    return lambda marked, folder: encode(folder / name, "-i", marked, *arguments)


def _trimmed_by_an_edit_list(marked: Path, folder: Path) -> Path:
    whole = encode(folder / "whole.m4a", "-i", marked, *AAC)
    return encode(folder / "cut.m4a", "-ss", "0.5", "-i", whole, "-c", "copy")


def _negative_start(marked: Path, folder: Path) -> Path:
    copied = ("-itsoffset", "-0.5", "-i", marked, *VIDEO, "-c:a", "pcm_s16le")
    return encode(folder / "early.mov", *PICTURE, *copied, "-avoid_negative_ts", "disabled")


# What is made, and where its first mark must be heard, in seconds.
CASES: dict[str, tuple[Maker, float, float]] = {
    "late audio in mp4": (_late("late.mp4"), 2.75, LOSSY_SEC),
    "late audio in mkv": (_late("late.mkv", "-c:a", "flac"), 2.75, EXACT_SEC),
    "late audio in mov": (_late("late.mov", "-c:a", "pcm_s16le"), 2.75, EXACT_SEC),
    "late audio in ts": (_late("late.ts"), 2.75, LOSSY_SEC),
    # ffmpeg's muxer writes the priming of 6.5 ms into the time stamps of late Opus.
    "late opus in mkv": (_late("late.mkv", "-c:a", "libopus"), 2.7435, EXACT_SEC),
    "late by less than a frame": (
        _late("near.mkv", "-c:a", "flac", offset_sec=0.018),
        2.018,
        EXACT_SEC,
    ),
    "negative start": (_negative_start, 1.5, EXACT_SEC),
    "edit list": (_trimmed_by_an_edit_list, 1.5, 0.025),
    "ts at 1.4 s": (_plain("a.ts", *AAC), 2.0 + 1024 / 44_100, LOSSY_SEC),
    "mkv at 10 s": (
        _plain("offset.mka", "-c:a", "flac", "-output_ts_offset", "10"),
        2.0,
        EXACT_SEC,
    ),
    "opus in ogg": (_plain("a.ogg", "-c:a", "libopus"), 2.0, LOSSY_SEC),
    "opus in webm": (_plain("a.webm", "-c:a", "libopus"), 2.0, LOSSY_SEC),
    "vorbis": (_plain("v.ogg", "-c:a", "libvorbis"), 2.0, LOSSY_SEC),
    "mp3 with a LAME tag": (_plain("a.mp3", "-c:a", "libmp3lame"), 2.0, LOSSY_SEC),
    "aac in mp4, edit list": (_plain("a.m4a", *AAC), 2.0, LOSSY_SEC),
    "aac in mp4, no edit list": (
        _plain("n.m4a", *AAC, "-use_editlist", "0"),
        2.0,
        0.025,
    ),
    "aac in mkv": (_plain("a.mka", *AAC), 2.0 + 1024 / 44_100, 0.025),
    "flac": (_plain("a.flac"), 2.0, EXACT_SEC),
}


# Every way of being late once, and each of the codecs' primings; the rest in the full suite.
SAMPLED = frozenset(
    {"late audio in mkv", "negative start", "edit list", "ts at 1.4 s", "opus in webm"}
)


def _sampled(names: Iterable[str], sampled: Container[str]) -> list[Any]:
    return [pytest.param(name, marks=[] if name in sampled else pytest.mark.full) for name in names]


@pytest.mark.parametrize("case", _sampled(CASES, SAMPLED))
async def test_a_mark_is_heard_when_a_player_plays_it(
    case: str, marked: Path, policy: SourcePolicy, tmp_path: Path, ffmpeg_binary: str
) -> None:
    """Both marks keep their place on the player's timeline, and windows agree with one pass."""
    make, first_sec, tolerance_sec = CASES[case]
    recording = await open_recording(make(marked, tmp_path), policy, tmp_path, ffmpeg_binary)
    whole = await collect(extract_all(recording))
    for mark_sec in MARKS_SEC:
        expected = first_sec + mark_sec - MARKS_SEC[0]
        assert find_mark(whole, expected) == pytest.approx(expected, abs=tolerance_sec)
    await require_equal_ways(recording)


LOST_SEC = (3.0, 4.5)
PACKED = {  # what is made of the marked file, its container, and how exact its time stamps are
    "mka": (("-c:a", "flac"), "matroska", EXACT_SEC),
    "ts": (AAC, "mpegts", LOSSY_SEC),
    "ogg": (("-c:a", "libopus"), "ogg", LOSSY_SEC),
    "mp4": (AAC, "mp4", LOSSY_SEC),
}


def _packed(marked: Path, folder: Path, kind: str) -> Path:
    return encode(folder / f"packed.{kind}", "-i", marked, *PACKED[kind][0])


@pytest.mark.parametrize("kind", _sampled(PACKED, {"mka", "ts"}))
async def test_a_lost_stretch_stays_as_silence(
    kind: str, marked: Path, policy: SourcePolicy, tmp_path: Path, ffmpeg_binary: str
) -> None:
    """Where packets are missing, what comes later is heard when it was said."""
    _, container, tolerance_sec = PACKED[kind]

    def time_of(sec: float) -> float | None:
        return None if LOST_SEC[0] <= sec < LOST_SEC[1] else sec

    packed = _packed(marked, tmp_path, kind)
    lossy = remux(packed, tmp_path / f"lossy.{kind}", time_of, container)
    before = await open_recording(packed, policy, tmp_path, ffmpeg_binary)
    after = await open_recording(lossy, policy, tmp_path, ffmpeg_binary)
    whole = await collect(extract_all(before))
    with_gap = await collect(extract_all(after))
    for mark_sec in MARKS_SEC:
        expected = find_mark(whole, mark_sec)
        assert find_mark(with_gap, expected) == pytest.approx(expected, abs=tolerance_sec)
    assert not with_gap[round(3.2 * 16_000) : round(4.3 * 16_000)].any()


async def test_an_impossible_jump_is_closed(
    marked: Path, policy: SourcePolicy, tmp_path: Path, ffmpeg_binary: str
) -> None:
    """Time stamps that jump by hours do not make hours of silence, and lose no audio."""
    packed = _packed(marked, tmp_path, "mka")
    jumped = remux(
        packed,
        tmp_path / "jumped.mka",
        lambda sec: sec + (5 * 3_600 if sec >= LOST_SEC[0] else 0),
        "matroska",
    )
    recording = await open_recording(jumped, policy, tmp_path, ffmpeg_binary)
    whole = await collect(extract_all(recording))
    assert len(whole) == pytest.approx(8 * 16_000, abs=160)
    for mark_sec in MARKS_SEC:
        assert find_mark(whole, mark_sec) == pytest.approx(mark_sec, abs=EXACT_SEC)


JOINED = {
    "ts": ("-ar 44100 -ac 1 -c:a aac", "-ar 48000 -ac 2 -c:a aac"),
    "same.ts": ("-ar 44100 -ac 1 -c:a aac", "-ar 44100 -ac 1 -c:a aac"),
    "aac": ("-ar 44100 -ac 1 -c:a aac", "-ar 48000 -ac 2 -c:a aac"),
    "mp3": ("-ar 44100 -ac 1 -write_xing 0", "-ar 48000 -ac 2 -write_xing 0"),
    "ogg": ("-ar 48000 -ac 1 -c:a libopus", "-ar 48000 -ac 1 -c:a libopus"),
}


@pytest.mark.parametrize("kind", _sampled(JOINED, {"ts", "mp3"}))
async def test_joined_recordings_of_different_parameters(
    kind: str, marked: Path, policy: SourcePolicy, tmp_path: Path, ffmpeg_binary: str
) -> None:
    """Rate and channels change inside, and time stamps begin again: all is heard, in order."""
    parts = [
        encode(tmp_path / f"part{number}.{kind}", "-i", marked, *arguments.split())
        for number, arguments in enumerate(JOINED[kind])
    ]
    joined = tmp_path / f"joined.{kind}"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    recordings = [
        await open_recording(path, policy, tmp_path, ffmpeg_binary) for path in [*parts, joined]
    ]
    first, second, whole = [await collect(extract_all(one)) for one in recordings]
    for mark_sec in MARKS_SEC:
        alone = find_mark(first, mark_sec)
        assert find_mark(whole, alone) == pytest.approx(alone, abs=EXACT_SEC)
        again = len(first) / 16_000 + find_mark(second, mark_sec)
        assert find_mark(whole, again) == pytest.approx(again, abs=0.03)  # a frame of priming
    assert len(whole) == pytest.approx(len(first) + len(second), abs=0.06 * 16_000)


def _plainly_decoded(path: Path, ffmpeg: str) -> bytes:
    command = [ffmpeg, "-v", "error", "-threads", "1", "-i", path]
    command += ["-ac", "1", "-ar", "16000", "-f", "s16le", "-"]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


CLEAN = ("a.flac", "a.mp3", "a.m4a", "a.ogg", "v.ogg", "a.webm", "a.wav", "a.aac", "a.ts", "a.mka")


@pytest.mark.parametrize("name", _sampled(CLEAN, {"a.mp3", "v.ogg", "a.webm"}))
async def test_undisturbed_audio_is_what_plain_ffmpeg_decodes(
    name: str, marked: Path, policy: SourcePolicy, tmp_path: Path, ffmpeg_binary: str
) -> None:
    """Following time stamps changes no sample of a file that has nothing to follow."""
    codec = {"v.ogg": ("-c:a", "libvorbis"), "a.ogg": ("-c:a", "libopus")}.get(name, ())
    path = encode(tmp_path / name, "-i", marked, *codec)
    recording = await open_recording(path, policy, tmp_path, ffmpeg_binary)
    plain = _plainly_decoded(path, ffmpeg_binary)
    ours = (await collect(extract_all(recording))).astype("<i2").tobytes()
    assert hashlib.sha256(ours).digest() == hashlib.sha256(plain).digest()
