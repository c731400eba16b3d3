"""Damage inside a file is bounded, named, and moves nothing that comes after it."""

import random
from pathlib import Path

import numpy as np
import pytest

from longform.audio import Span
from longform.errors import SourceError
from longform.media.decode.extract import extract_all, extract_window
from longform.media.model import DamageReport, Recording
from longform.net.policy import SourcePolicy
from tests.media.test_extract import collect, open_recording, windows
from tests.support.chirps import encode, find_mark, write_marks

DURATION_SEC = 20.0
MARKS_SEC = (2.0, 16.0)
FROM, TO = 0.40, 0.45  # of the file's bytes: a second of its audio

# What is made, how far a mark may be from its place (seconds), and how far damage may spread
# beyond the damaged bytes: a frame, a page of Ogg, a cluster of Matroska.
KINDS = {
    "mp3": (("-b:a", "128k"), 0.027, 1.0),
    "aac": (("-c:a", "aac", "-b:a", "96k"), 0.05, 1.0),
    "ts": (("-c:a", "aac", "-b:a", "96k"), 0.005, 1.0),
    "m4a": (("-c:a", "aac", "-movflags", "+faststart"), 0.005, 1.0),
    "flac": ((), 0.001, 1.0),
    "ogg": (("-c:a", "libopus"), 0.005, 2.0),
    "webm": (("-c:a", "libopus", "-cluster_time_limit", "1000"), 0.005, 2.0),
}


SAMPLED = frozenset({("mp3", "zeroed"), ("m4a", "flipped"), ("flac", "zeroed"), ("ogg", "zeroed")})


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 s of quiet noise with marks at 2 and 16 s."""
    return write_marks(tmp_path_factory.mktemp("marked") / "m.wav", DURATION_SEC, MARKS_SEC)


def _harmed(content: bytes, how: str) -> bytes:
    start, end = int(len(content) * FROM), int(len(content) * TO)
    harmed = bytearray(content)
    if how == "zeroed":
        harmed[start:end] = bytes(end - start)
    elif how == "flipped":
        pick = random.Random(3)
        for _ in range(300):
            harmed[pick.randrange(start, end)] ^= 1 << pick.randrange(8)
    elif how == "cut out":
        del harmed[start:end]
    else:
        del harmed[end:]
    return bytes(harmed)


async def read(recording: Recording) -> tuple[np.ndarray, DamageReport]:
    """Read a recording as a run does: in windows where it can be, else in one pass."""
    damage = DamageReport()
    if recording.media.access == "sequential":
        return await collect(extract_all(recording, damage)), damage
    parts = []
    for span in (spans := windows(recording.media.num_samples_estimate or 0)):
        is_last = span is spans[-1]
        part = await collect(extract_window(recording, span, open_ended=is_last, damage=damage))
        missing = np.zeros(max(0, span.num_samples - len(part)) if not is_last else 0, "<i2")
        parts += [part, missing]
    return np.concatenate(parts), damage


def _damaged_sec(damage: DamageReport) -> float:
    return sum(one.span.duration_sec for one in damage.spans)


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        pytest.param(kind, how, marks=[] if (kind, how) in SAMPLED else pytest.mark.full)
        for kind in KINDS
        for how in ("zeroed", "flipped")
    ],
)
async def test_what_follows_damage_stays_where_it_was(
    kind: str, how: str, marked: Path, policy: SourcePolicy, tmp_path: Path, ffmpeg_binary: str
) -> None:
    """The later mark keeps its place; the damage is named where it is, and no wider."""
    arguments, tolerance_sec, spread_sec = KINDS[kind]
    sound = encode(tmp_path / f"sound.{kind}", "-i", marked, *arguments)
    broken = tmp_path / f"broken.{kind}"
    broken.write_bytes(_harmed(sound.read_bytes(), how))
    before, none = await read(await open_recording(sound, policy, tmp_path, ffmpeg_binary))
    after, damage = await read(await open_recording(broken, policy, tmp_path, ffmpeg_binary))
    assert none.spans == ()
    for mark_sec in MARKS_SEC:
        place = find_mark(before, mark_sec)
        assert find_mark(after, place, 1.5) == pytest.approx(place, abs=tolerance_sec)
    assert damage.spans
    first, last = damage.spans[0].span.start_time_sec, damage.spans[-1].span.end_time_sec
    assert FROM * DURATION_SEC - spread_sec < first < TO * DURATION_SEC
    assert FROM * DURATION_SEC < last < TO * DURATION_SEC + spread_sec


@pytest.mark.full
@pytest.mark.parametrize("kind", ["ts", "flac", "ogg", "webm"])
async def test_a_stretch_that_was_cut_out_is_silence(
    kind: str, marked: Path, policy: SourcePolicy, tmp_path: Path, ffmpeg_binary: str
) -> None:
    """Where a format has time stamps, bytes that are gone move nothing."""
    arguments, tolerance_sec, _ = KINDS[kind]
    sound = encode(tmp_path / f"sound.{kind}", "-i", marked, *arguments)
    broken = tmp_path / f"broken.{kind}"
    broken.write_bytes(_harmed(sound.read_bytes(), "cut out"))
    before, _ = await read(await open_recording(sound, policy, tmp_path, ffmpeg_binary))
    after, damage = await read(await open_recording(broken, policy, tmp_path, ffmpeg_binary))
    place = find_mark(before, 16.0)
    assert find_mark(after, place, 1.5) == pytest.approx(place, abs=tolerance_sec)
    assert 0.5 < _damaged_sec(damage) < 4.0


@pytest.mark.parametrize("kind", ["mp3", "m4a", "flac", "webm"])
async def test_a_file_that_ends_too_soon_names_what_it_promises(
    kind: str, marked: Path, policy: SourcePolicy, tmp_path: Path, ffmpeg_binary: str
) -> None:
    """What there is can be read; from there to the length in the header all is damaged."""
    sound = encode(tmp_path / f"sound.{kind}", "-i", marked, *KINDS[kind][0])
    broken = tmp_path / f"broken.{kind}"
    broken.write_bytes(_harmed(sound.read_bytes(), "cut off"))
    pcm, damage = await read(await open_recording(broken, policy, tmp_path, ffmpeg_binary))
    assert find_mark(pcm, 2.0) == pytest.approx(2.0, abs=0.005)
    first, last = damage.spans[0], damage.spans[-1]
    assert last.span.end_time_sec == pytest.approx(DURATION_SEC, abs=0.05)
    assert TO * DURATION_SEC - 2.0 < first.span.start_time_sec < TO * DURATION_SEC + 0.1
    assert _damaged_sec(damage) == pytest.approx(DURATION_SEC - first.span.start_time_sec, abs=0.1)
    assert any("promises" in one.reason for one in damage.spans)


async def test_nothing_but_damage_is_an_error(
    marked: Path, policy: SourcePolicy, tmp_path: Path, ffmpeg_binary: str
) -> None:
    """A recording of which nothing can be decoded is refused, not transcribed as silence."""
    sound = encode(tmp_path / "sound.mka", "-i", marked, "-c:a", "flac")
    content = sound.read_bytes()
    pick = random.Random(5)
    (tmp_path / "broken.mka").write_bytes(content[:450] + pick.randbytes(len(content) - 450))
    with pytest.raises(SourceError):
        await read(await open_recording(tmp_path / "broken.mka", policy, tmp_path, ffmpeg_binary))


def test_a_report_keeps_order_and_merges() -> None:
    """Spans come in order and apart, whatever the order in which they were found."""
    report = DamageReport()
    for start, end in ((50, 60), (10, 20), (15, 30), (30, 40), (5, 5), (-3, 2)):
        report.add(start, end, "why")
    assert [(one.start_sample, one.end_sample) for one in report.spans] == [
        (0, 2),
        (10, 40),
        (50, 60),
    ]
    assert [one.span for one in report.within(35, 55)] == [Span(35, 40), Span(50, 55)]
