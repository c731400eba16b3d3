"""Media with marks in it: chirps at known times, found again to a fraction of a millisecond."""

import subprocess
import wave
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from longform.audio import Pcm
from tests.media.conftest import ffmpeg_binaries

CHIRP_SEC = 0.12
NOISE = 0.004  # of full scale; so that codecs have something to code in between


def chirp(rate_hz: int) -> np.ndarray:
    """Return a sweep from 400 Hz to 3 kHz, which matches nothing but itself."""
    time = np.arange(round(CHIRP_SEC * rate_hz)) / rate_hz
    phase = 2 * np.pi * (400 * time + (3_000 - 400) / (2 * CHIRP_SEC) * time**2)
    return np.sin(phase) * np.hanning(len(time))


def write_marks(
    path: Path,
    duration_sec: float,
    marks_sec: Sequence[float],
    *,
    rate_hz: int = 44_100,
    gains: Sequence[float] = (1.0,),
) -> Path:
    """Write a wav with a chirp at each mark; `gains` has a factor for each channel."""
    noise = np.random.default_rng(5).standard_normal(round(duration_sec * rate_hz)) * NOISE
    mark = chirp(rate_hz) * 0.5
    for at_sec in marks_sec:
        start = round(at_sec * rate_hz)
        noise[start : start + len(mark)] += mark
    samples = np.outer(noise, gains)
    with wave.open(str(path), "wb") as target:
        target.setnchannels(len(gains))
        target.setsampwidth(2)
        target.setframerate(rate_hz)
        target.writeframes((samples * 32_767).astype("<i2").tobytes())
    return path


def find_mark(pcm: Pcm, near_sec: float, within_sec: float = 0.4) -> float:
    """Return the time of the chirp that is nearest to the expected place, in seconds."""
    start = max(0, round((near_sec - within_sec) * 16_000))
    part = pcm[start : round((near_sec + within_sec + CHIRP_SEC) * 16_000)].astype(float)
    mark = chirp(16_000)
    assert len(part) > len(mark), f"the audio ends before {near_sec} s"
    match = np.correlate(part, mark, "valid")
    energy = np.sqrt(np.convolve(part**2, np.ones(len(mark)), "valid") * (mark**2).sum())
    score = match / np.maximum(energy, 1.0)
    assert score.max() > 0.6, f"no mark near {near_sec} s: {score.max():.2f}"
    return (start + int(np.argmax(score))) / 16_000


def encode(path: Path, *arguments: object) -> Path:
    """Make a file with ffmpeg; `arguments` are all but the output."""
    binary = ffmpeg_binaries().get("system", ffmpeg_binaries()["wheel"])
    command = [binary, "-nostdin", "-y", "-v", "error", *map(str, arguments), str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path


def remux(
    source: Path, target: Path, time_of: Callable[[float], float | None], container: str
) -> Path:
    """Copy packets with other times after the first; None for a time drops its packet."""
    import av

    with av.open(str(source)) as given, av.open(str(target), "w", format=container) as made:
        stream = given.streams.audio[0]
        copy = made.add_stream_from_template(stream)
        first = None
        for packet in given.demux(stream):
            if packet.pts is None:
                continue
            first = packet.pts if first is None else first
            moved = time_of(float((packet.pts - first) * packet.time_base))
            if moved is None:
                continue
            packet.pts = packet.dts = first + round(moved / packet.time_base)
            packet.stream = copy
            made.mux(packet)
    return target
