"""What decoding a file costs next to plain ffmpeg: CPU of ffmpeg, and of what feeds and reads it.

Plain ffmpeg reads the file itself and writes PCM to nowhere. Ours gets it from the range gateway
of the process that reads the PCM, in one pass and, where the container allows it, in windows of
300 s. No model, no voice activity, no cluster.
"""

import argparse
import asyncio
import resource
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.access_modes import encode, spans_of
from benchmarks.recordings import make_long, media_folder, speech_files
from longform.media.decode.extract import extract_all, extract_window
from longform.media.decode.ffmpeg_args import find_ffmpeg
from longform.media.model import Recording
from longform.pipeline.planning import open_recording
from longform.settings import Settings

MOST_SHARE = 1.1  # goal: of plain ffmpeg's CPU, by ffmpeg in one pass


@dataclass(frozen=True, slots=True)
class Decoding:
    """CPU seconds of decoding one file in one way; `reader_cpu_sec` is this process's share."""

    file: str
    way: str
    ffmpeg_cpu_sec: float
    reader_cpu_sec: float = 0.0


def cpu_sec(who: int) -> float:
    """Return user and system time of this process or of its children that have ended."""
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def plain(file: Path) -> Decoding:
    """Decode with ffmpeg alone."""
    before = cpu_sec(resource.RUSAGE_CHILDREN)
    arguments = ["-v", "error", "-nostdin", "-i", str(file), "-ac", "1", "-ar", "16000"]
    subprocess.run([find_ffmpeg(), *arguments, "-f", "s16le", "-y", "/dev/null"], check=True)
    return Decoding(file.suffix[1:], "ffmpeg", cpu_sec(resource.RUSAGE_CHILDREN) - before)


def ours(file: Path, scratch: Path) -> Iterator[Decoding]:
    """Decode as runs do, in every way that the file allows."""
    recording = asyncio.run(open_recording(str(file), Settings(home=scratch), scratch))
    for way in ("sequential", "windowed"):
        if way in ("sequential", recording.media.access):
            before = [cpu_sec(resource.RUSAGE_CHILDREN), cpu_sec(resource.RUSAGE_SELF)]
            asyncio.run(_read(recording, way))
            after = [cpu_sec(resource.RUSAGE_CHILDREN), cpu_sec(resource.RUSAGE_SELF)]
            yield Decoding(file.suffix[1:], way, after[0] - before[0], after[1] - before[1])


async def _read(recording: Recording, way: str) -> None:
    if way == "sequential":
        async for _ in extract_all(recording):
            pass
        return
    spans = spans_of(recording)
    for span in spans:
        async for _ in extract_window(recording, span, open_ended=span is spans[-1]):
            pass


def table(taken: list[Decoding]) -> Iterator[str]:
    """Yield the figures and the goal, as markdown."""
    yield "| file | way | ffmpeg CPU s | share of plain | reader CPU s | share of all |"
    yield "|---|---|--:|--:|--:|--:|"
    for one in taken:
        base = next(each for each in taken if each.file == one.file).ffmpeg_cpu_sec
        share, whole = one.ffmpeg_cpu_sec / base, (one.ffmpeg_cpu_sec + one.reader_cpu_sec) / base
        figures = f"{one.ffmpeg_cpu_sec:.2f} | {share:.2f} | {one.reader_cpu_sec:.2f} | {whole:.2f}"
        yield f"| {one.file} | {one.way} | {figures} |"
    yield ""
    for one in taken:
        base = next(each for each in taken if each.file == one.file).ffmpeg_cpu_sec
        if one.way == "sequential":
            share = one.ffmpeg_cpu_sec / base
            verdict = "met" if share <= MOST_SHARE else "missed"
            yield f"{one.file}: ffmpeg in one pass <= {MOST_SHARE} of plain: {verdict}: {share:.2f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.decoding", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="length of the recording")
    given = parser.parse_args()
    taken: list[Decoding] = []
    with tempfile.TemporaryDirectory(prefix="longform-decoding-") as folder:
        scratch = Path(folder)
        audio = scratch / "long.flac"
        make_long(speech_files(media_folder(), frozenset({"en"})), given.minutes * 60, audio)
        for file in encode(audio, scratch):
            taken += [plain(file), *ours(file, scratch)]
    print("\n".join(table(taken)))


if __name__ == "__main__":
    main()
