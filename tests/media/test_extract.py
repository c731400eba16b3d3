"""Both ways to the audio give the same samples, whatever the container and whichever ffmpeg."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil
import pytest

from longform.audio import Pcm, Span
from longform.errors import (
    DecodeInterruptedError,
    InvariantError,
    NotMediaError,
    SourceTooLargeError,
    SourceUnavailableError,
    TruncatedMediaError,
)
from longform.media.decode.extract import extract_all, extract_window
from longform.media.decode.sandbox import ReadProgress, Watchdog
from longform.media.model import DamageReport, Media, Recording
from longform.media.probe.probe import probe
from longform.media.sources.open import open_source
from longform.net.policy import SourcePolicy
from tests.media.conftest import ffmpeg_binaries
from tests.media.containers import CONTAINERS, FULL_ONLY, Container, make
from tests.support.processes import lives
from tests.support.range_server import RangeServer

EXACT = frozenset({"wav", "aiff", "au", "flac"})  # bytes, and not only counts, are equal
WINDOW_SAMPLES = 112_003  # samples; 7 s and an odd edge


async def open_recording(
    url: str | Path, policy: SourcePolicy, tmp_path: Path, ffmpeg: str | None = None
) -> Recording:
    """Open and probe."""
    source = await open_source(str(url), policy, tmp_path)
    media = await probe(source, policy)
    return Recording(source=source, media=media, policy=policy, ffmpeg=ffmpeg)


async def collect(blocks: AsyncGenerator[Pcm, None]) -> Pcm:
    """Return all blocks as one array."""
    async with aclosing(blocks):
        parts = [block async for block in blocks]
    return np.concatenate([np.zeros(0, "<i2"), *parts])


def windows(total_samples: int) -> list[Span]:
    """Tile a recording with windows of an odd length; the last is what is left."""
    step = max(WINDOW_SAMPLES, total_samples // 6 | 1)
    edges = [*range(0, max(1, total_samples), step), total_samples]
    return [Span(a, b) for a, b in pairwise(edges)]


async def require_equal_ways(recording: Recording) -> None:
    """Check that windows, where there are any, give what one pass gives."""
    whole = await collect(extract_all(recording))
    assert abs(len(whole) - (recording.media.num_samples_estimate or len(whole))) < 16_000
    if recording.media.access == "sequential":
        return
    spans = windows(recording.media.num_samples_estimate or 0)
    parts = [
        await collect(extract_window(recording, span, open_ended=span is spans[-1]))
        for span in spans
    ]
    assert [len(part) for part in parts[:-1]] == [span.num_samples for span in spans[:-1]]
    joined = np.concatenate(parts)
    assert len(joined) == len(whole)
    if recording.media.container in EXACT:
        assert np.array_equal(joined, whole)
    else:
        starts = [span.start_sample for span in spans]
        for part, start in zip(parts, starts, strict=True):
            require_aligned(part, whole[start : start + len(part)])


def require_aligned(part: Pcm, reference: Pcm) -> None:
    """Check that two decodings of one stream coincide, up to noise that codecs make up.

    AAC fills some bands with pseudo-random noise that depends on where decoding began.
    Speech that is shifted by one sample differs by several percent of its energy.
    """
    error = (part.astype(float) - reference) ** 2
    assert error.sum() <= 0.015 * (reference.astype(float) ** 2).sum()


@pytest.fixture(scope="session")
def made_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the containers are made, once per session."""
    return tmp_path_factory.mktemp("containers")


@pytest.mark.media
@pytest.mark.parametrize(
    "container",
    [
        pytest.param(one, id=one.name, marks=pytest.mark.full if one.name in FULL_ONLY else [])
        for one in CONTAINERS
    ],
)
async def test_made_containers(
    container: Container,
    media_dir: Path,
    made_dir: Path,
    policy: SourcePolicy,
    ffmpeg_binary: str,
) -> None:
    """Windows and one pass agree in count, and for wav and flac in every byte."""
    maker = ffmpeg_binaries().get("system", ffmpeg_binaries()["wheel"])
    path = make(container, media_dir / "sonnet3.mp3", made_dir, maker)
    recording = await open_recording(path, policy, made_dir, ffmpeg_binary)
    assert recording.media.access == container.access, recording.media.access_reason
    assert recording.media.has_video == container.video
    await require_equal_ways(recording)


def _recordings() -> list[str]:
    default = Path(__file__).resolve().parents[3] / "shared" / "media"
    manifest = Path(os.environ.get("LONGFORM_MEDIA", default)) / "manifest.jsonl"
    if not manifest.is_file():
        return ["manifest.jsonl"]  # the fixture skips, and says why
    return [json.loads(line)["file"] for line in manifest.read_text().splitlines()]


@pytest.mark.media
@pytest.mark.parametrize("name", _recordings())
async def test_real_recordings(
    name: str, media_dir: Path, policy: SourcePolicy, tmp_path: Path, ffmpeg_binary: str
) -> None:
    """The same for every recording at hand, made by whoever made it."""
    recording = await open_recording(media_dir / name, policy, tmp_path, ffmpeg_binary)
    await require_equal_ways(recording)


@pytest.fixture
def speech_wav(media_dir: Path) -> Path:
    """86 s of 16 kHz mono PCM."""
    return media_dir / "two_cities.wav"


@pytest.mark.media
async def test_windows_anywhere(
    speech_wav: Path, policy: SourcePolicy, tmp_path: Path, ffmpeg_binary: str
) -> None:
    """Windows of any place and length, single samples too, are slices of the whole."""
    recording = await open_recording(speech_wav, policy, tmp_path, ffmpeg_binary)
    whole = await collect(extract_all(recording))
    pick = random.Random(11)
    starts = [0, 1, 15_999, 16_000, 63_999, 64_000, pick.randrange(len(whole) - 9_000)]
    for start in starts:
        span = Span(start, start + pick.choice((1, 2, 8_001)))
        part = await collect(extract_window(recording, span))
        assert np.array_equal(part, whole[span.start_sample : span.end_sample])
    assert len(await collect(extract_window(recording, Span(5, 5)))) == 0
    end = Span(len(whole), len(whole) + 10)
    assert len(await collect(extract_window(recording, end, open_ended=True))) == 0


@pytest.mark.media
async def test_a_window_over_http_reads_its_own_part_only(
    server: RangeServer, media_dir: Path, policy: SourcePolicy, tmp_path: Path, ffmpeg_binary: str
) -> None:
    """10 s in the middle of 191 s cost the bytes of those seconds and a little around them."""
    url = server.add(media_dir / "ivr_it_mulaw.wav")
    recording = await open_recording(url, policy, tmp_path, ffmpeg_binary)
    local = await open_recording(media_dir / "ivr_it_mulaw.wav", policy, tmp_path, ffmpeg_binary)
    span = Span(100 * 16_000 + 7, 110 * 16_000 + 1)
    before = server.bytes_sent["/talk.bin"]
    part = await collect(extract_window(recording, span))
    assert np.array_equal(part, await collect(extract_window(local, span)))
    assert server.bytes_sent["/talk.bin"] - before < 2_000_000 < 3_054_700


@pytest.mark.media
async def test_no_ranges_means_one_pass(
    server: RangeServer, speech_wav: Path, policy: SourcePolicy, tmp_path: Path
) -> None:
    """A server without ranges gives the same audio, in one pass."""
    server.habits.ranges = False
    recording = await open_recording(server.add(speech_wav), policy, tmp_path)
    local = await open_recording(speech_wav, policy, tmp_path)
    assert recording.media.access == "sequential"
    whole = await collect(extract_all(recording))
    assert np.array_equal(whole, await collect(extract_all(local)))
    with pytest.raises(InvariantError):
        await collect(extract_window(recording, Span(0, 10)))


@pytest.mark.media
@pytest.mark.parametrize("name", ["sonnet1.mp3", "fleurs_fr.ogg", "lj_printing.m4a", "jfk.flac"])
async def test_a_source_that_dies_is_never_a_short_recording(
    name: str,
    server: RangeServer,
    media_dir: Path,
    policy: SourcePolicy,
    tmp_path: Path,
    ffmpeg_binary: str,
) -> None:
    """When bytes stop coming for good, ffmpeg may call it a success; here it is an error."""
    recording = await open_recording(server.add(media_dir / name), policy, tmp_path, ffmpeg_binary)
    server.habits.dead_from = len(server.habits.files["/talk.bin"]) // 2
    # Under another policy nothing is cached of what the probe has read.
    other = policy.model_copy(update={"max_attempts": 2})
    recording = recording.model_copy(update={"policy": other})
    with pytest.raises(SourceUnavailableError):
        await collect(extract_all(recording))


@pytest.mark.media
async def test_less_audio_than_promised_names_the_place(
    speech_wav: Path, policy: SourcePolicy, tmp_path: Path, ffmpeg_binary: str
) -> None:
    """A window that the audio does not fill is an error with the place where the audio ends."""
    recording = await open_recording(speech_wav, policy, tmp_path, ffmpeg_binary)
    end = recording.media.num_samples_estimate or 0
    with pytest.raises(TruncatedMediaError, match=r"ends at 86\.\d+ s"):
        await collect(extract_window(recording, Span(end - 16_000, end + 16_000)))


@pytest.mark.media
async def test_longer_than_allowed_is_noticed_while_decoding(
    media_dir: Path, policy: SourcePolicy, tmp_path: Path
) -> None:
    """The limit of duration holds even where the container is silent about its length."""
    recording = await open_recording(media_dir / "sonnet1.mp3", policy, tmp_path)
    short = policy.model_copy(update={"max_duration_sec": 10.0})
    with pytest.raises(SourceTooLargeError):
        await collect(extract_all(recording.model_copy(update={"policy": short})))


def _children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "ffmpeg" in child.name()]


@pytest.mark.media
async def test_closing_early_leaves_no_ffmpeg(
    media_dir: Path, policy: SourcePolicy, tmp_path: Path, ffmpeg_binary: str
) -> None:
    """A consumer that stops, or is cancelled, takes ffmpeg with it."""
    recording = await open_recording(media_dir / "sonnet1.mp3", policy, tmp_path, ffmpeg_binary)
    async with aclosing(extract_all(recording)) as blocks:
        await anext(blocks)
        assert len(_children()) == 1
    assert _children() == []

    decoding = asyncio.Event()

    async def consume_slowly() -> None:
        async with aclosing(extract_all(recording)) as slow:
            async for _ in slow:
                decoding.set()
                await asyncio.sleep(60)

    task = asyncio.create_task(consume_slowly())
    await decoding.wait()
    assert len(_children()) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert _children() == []


@pytest.mark.media
async def test_an_interrupted_ffmpeg_is_started_again(
    media_dir: Path, policy: SourcePolicy, tmp_path: Path, ffmpeg_binary: str
) -> None:
    """An ffmpeg that is killed from outside once costs time, and no sample."""
    recording = await open_recording(
        media_dir / "nathalie_nl.webm", policy, tmp_path, ffmpeg_binary
    )
    whole = await collect(extract_all(recording))
    blocks = extract_all(recording)
    first = await anext(blocks)
    _children()[0].kill()
    again = np.concatenate([first, await collect(blocks)])
    assert np.array_equal(again, whole)


@pytest.mark.media
@pytest.mark.parametrize("how", ["crash", "hang"])
async def test_a_decoder_that_fails_at_the_same_place_each_time(
    how: str, media_dir: Path, policy: SourcePolicy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the second crash there, or one hang, the rest is damaged; without a report an error."""
    hangs = tmp_path / "hangs"
    _lose_patience_once(hangs.exists, monkeypatch)
    last = {
        "crash": "os.kill(os.getpid(), 11)",
        "hang": f"open({str(hangs)!r}, 'w'); time.sleep(600)",
    }[how]
    fake = tmp_path / "ffmpeg"
    code = f"import os, sys, time; os.write(1, bytes(320_000)); {last}"
    fake.write_text(f"#!{sys.executable}\n{code}\n")
    fake.chmod(0o755)
    recording = await open_recording(media_dir / "nathalie_nl.webm", policy, tmp_path, str(fake))
    damage = DamageReport()
    assert len(await collect(extract_all(recording, damage))) == 160_000
    promised = recording.media.promised_samples
    assert [(one.start_sample, one.end_sample) for one in damage.spans] == [(160_000, promised)]
    assert {"crash": "crashed", "hang": "hung"}[how] in damage.spans[0].reason
    with pytest.raises((DecodeInterruptedError, NotMediaError)):
        await collect(extract_all(recording))


def _lose_patience_once(hangs: Callable[[], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have watchdogs wait half a second, and as long as it takes before the child hangs."""

    def begin(
        dog: Watchdog, progress: ReadProgress | None = None, timeout_sec: float = 0.5
    ) -> None:
        dog.progress, dog.timeout_sec = progress, timeout_sec

    monkeypatch.setattr(Watchdog, "__init__", begin)
    monkeypatch.setattr(Watchdog, "_excused", lambda dog: not hangs())


@pytest.mark.media
async def test_ffmpeg_waits_for_a_slow_consumer(
    media_dir: Path, policy: SourcePolicy, tmp_path: Path
) -> None:
    """While nobody asks for more, ffmpeg decodes no further: memory does not grow."""
    recording = await open_recording(media_dir / "nathalie_nl.webm", policy, tmp_path)
    async with aclosing(extract_all(recording)) as blocks:
        await anext(blocks)
        ffmpeg = _children()[0]
        looks: list[tuple[float, str]] = []
        async with asyncio.timeout(60):
            while not _rests(looks):
                await asyncio.sleep(0.1)
                looks.append((sum(ffmpeg.cpu_times()[:2]), ffmpeg.status()))


def _rests(looks: list[tuple[float, str]]) -> bool:
    """Return whether a process waited, and computed nothing, at the last six looks."""
    last = looks[-6:]
    return len(last) == 6 and len(set(last)) == 1 and last[0][1] == psutil.STATUS_SLEEPING


ORPHAN_SCRIPT = """
import asyncio, sys
from pathlib import Path
from tests.media.test_extract import extract_all, open_recording
from longform.net.policy import SourcePolicy

async def main():
    recording = await open_recording(sys.argv[1], SourcePolicy(), Path("."), sys.argv[2])
    async for _ in extract_all(recording):
        print("ready", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.media
def test_a_killed_worker_leaves_no_ffmpeg(media_dir: Path, ffmpeg_binary: str) -> None:
    """After SIGKILL of the process, its ffmpeg ends by itself: both its pipes are gone."""
    worker = subprocess.Popen(
        [sys.executable, "-c", ORPHAN_SCRIPT, media_dir / "nathalie_nl.webm", ffmpeg_binary],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"ready\n"
    children = psutil.Process(worker.pid).children()
    assert [child.name().startswith("ffmpeg") for child in children] == [True]
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    deadline = time.monotonic() + 60
    while any(lives(child) for child in children):
        assert time.monotonic() < deadline, "ffmpeg outlived its worker"
        time.sleep(0.02)


async def test_text_that_was_probed_as_media_is_no_recording(
    policy: SourcePolicy, tmp_path: Path, ffmpeg_binary: str
) -> None:
    """If ffmpeg decodes nothing, the answer is not an empty transcript."""
    (tmp_path / "notes.txt").write_text("this is not audio\n" * 999)
    source = await open_source(str(tmp_path / "notes.txt"), policy, tmp_path)
    media = Media(
        container="wav",
        codec="pcm_s16le",
        sample_rate_hz=16_000,
        channels=1,
        audio_stream=0,
        duration_sec=1.0,
        num_samples_estimate=16_000,
        has_video=False,
        access="windowed",
        access_reason="made up",
    )
    recording = Recording(source=source, media=media, policy=policy, ffmpeg=ffmpeg_binary)
    for blocks in (extract_all(recording), extract_window(recording, Span(0, 16_000))):
        with pytest.raises(NotMediaError):
            await collect(blocks)
