"""Windowed access next to one sequential pass, from a server that throttles each connection.

The same 40 minutes of speech, 8 macro chunks, in four containers. One process decodes a file
from start to end; 1, 2 and 4 processes decode it in windows, as the workers of a run do. No
model: this is the way from the server to PCM alone. Every figure is from one run.
"""

import argparse
import asyncio
import json
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from benchmarks.recordings import make_long, media_folder, speech_files
from longform.audio import Span, to_samples
from longform.media.decode.extract import extract_all, extract_window
from longform.media.decode.ffmpeg_args import find_ffmpeg
from longform.media.gateway.gateway import running_gateway
from longform.media.model import Recording
from longform.media.shared_blocks import discard_blocks
from longform.params import TranscribeParams
from longform.pipeline.planning import open_recording
from longform.settings import Settings

MB = 1e6  # bytes
# Each at a bit rate that is common for speech.
ENCODINGS = {
    "wav": ("-c:a", "pcm_s16le"),
    "flac": ("-c:a", "flac"),
    "m4a": ("-c:a", "aac", "-b:a", "96k"),
    "mp3": ("-c:a", "libmp3lame", "-b:a", "96k"),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading one file in one way took."""

    file: str
    way: str
    num_readers: int
    wall_sec: float
    cpu_sec: float  # of the readers and their ffmpeg; the server's is not in it
    bytes_share: float  # of the file's length
    connections: int  # most that sent at a time
    checksums: tuple[int, ...]  # of the audio of each macro chunk


class Server:
    """The throttled server as a process of its own."""

    def __init__(self, folder: Path, mb_per_sec: float) -> None:
        command = [sys.executable, "-m", "benchmarks.throttled_server", str(folder)]
        self._process = subprocess.Popen(
            [*command, "--mb-per-sec", str(mb_per_sec)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.address = f"http://127.0.0.1:{int(self._process.stdout.readline())}"

    def take_stats(self) -> dict[str, int]:
        """Return what was asked of it since the last time."""
        with urllib.request.urlopen(f"{self.address}/stats") as answer:
            counts: dict[str, int] = json.load(answer)
        return counts

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


def spans_of(recording: Recording) -> list[Span]:
    """Return macro chunks of the usual length, cut at their nominal boundaries."""
    total = recording.media.num_samples_estimate or 0
    step = to_samples(TranscribeParams().macro_chunk_size_sec)
    return [Span(start, min(start + step, total)) for start in range(0, total, step)]


def read_window(recording: Recording, span: Span, open_ended: bool) -> int:
    """Decode one macro chunk; return the checksum of its audio."""

    async def read() -> int:
        checksum = 0
        async for block in extract_window(recording, span, open_ended=open_ended):
            checksum = zlib.crc32(block.tobytes(), checksum)
        return checksum

    return asyncio.run(read())


def read_all(recording: Recording, spans: Sequence[Span]) -> tuple[int, ...]:
    """Decode everything in one pass; return the checksums of the same macro chunks."""

    async def read() -> tuple[int, ...]:
        checksums, position = [0] * len(spans), 0
        async for block in extract_all(recording):
            end = position + len(block)
            for index, span in enumerate(spans):
                last = end if index == len(spans) - 1 else min(end, span.end_sample)
                first = max(position, span.start_sample)
                if first < last:
                    part = block[first - position : last - position]
                    checksums[index] = zlib.crc32(part.tobytes(), checksums[index])
            position = end
        return tuple(checksums)

    return asyncio.run(read())


@contextmanager
def readers(num_readers: int) -> Iterator[Any]:
    """Start processes that are ready to read: imports are no part of the figures."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(num_readers)
    with context.Pool(num_readers, initializer=_prepare, initargs=(barrier,)) as pool:
        pool.map(_meet, range(num_readers), chunksize=1)
        yield pool
        pool.close()
        pool.join()


_barrier: Barrier


def _prepare(barrier: Barrier) -> None:
    global _barrier
    _barrier = barrier
    running_gateway()


def _meet(_: int) -> float:
    _barrier.wait()
    return time.process_time()


def _cpu_sec() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def read(server: Server, recording: Recording, name: str, way: str, num_readers: int) -> Reading:
    """Read a recording in one way and return what it took."""
    spans = spans_of(recording)
    server.take_stats()
    before_sec = _cpu_sec()
    with readers(num_readers) as pool:
        preparing_sec = sum(pool.map(_meet, range(num_readers), chunksize=1))
        started = time.monotonic()
        if way == "sequential":
            checksums = pool.apply(read_all, (recording, spans))
        else:
            windows = [(recording, span, span is spans[-1]) for span in spans]
            checksums = tuple(pool.starmap(read_window, windows, chunksize=1))
        wall_sec = time.monotonic() - started
    stats = server.take_stats()
    return Reading(
        file=name,
        way=way,
        num_readers=num_readers,
        wall_sec=wall_sec,
        cpu_sec=_cpu_sec() - before_sec - preparing_sec,
        bytes_share=stats["bytes"] / recording.source.length_bytes,
        connections=stats["connections"],
        checksums=checksums,
    )


def encode(audio: Path, folder: Path) -> list[Path]:
    """Return the recording in every container."""
    made = []
    for suffix, options in ENCODINGS.items():
        target = folder / f"talk.{suffix}"
        command = [find_ffmpeg(), "-v", "error", "-nostdin", "-y", "-i", str(audio), *options]
        subprocess.run([*command, str(target)], check=True)
        made.append(target)
    return made


def readings(
    server: Server, file: Path, num_readers: Sequence[int], scratch: Path
) -> Iterator[Reading]:
    """Read one file in every way that it allows."""
    settings = Settings(home=scratch, allow_private_hosts=True)
    address, name = f"{server.address}/{file.name}", file.suffix[1:]

    for way, number in [("sequential", 1), *(("windowed", number) for number in num_readers)]:
        # Opened anew each time: the processes of a host share the blocks of one opening.
        recording = asyncio.run(open_recording(address, settings, scratch))
        try:
            if way in ("sequential", recording.media.access):
                yield read(server, recording, name, way, number)
        finally:
            discard_blocks(recording.policy.block_dir, recording.source.blocks)


def table(taken: Sequence[Reading]) -> str:
    """Return the readings and how much faster than the pass they are, as markdown."""
    rows = [
        "| file | access | readers | wall s | times faster | CPU s | bytes / file | connections "
        "| audio |",
        "|---|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    for one in taken:
        base = next(other for other in taken if other.file == one.file)
        same = "the same" if one.checksums == base.checksums else "DIFFERS"
        rows.append(
            f"| {one.file} | {one.way} | {one.num_readers} | {one.wall_sec:.1f}"
            f" | {base.wall_sec / one.wall_sec:.2f} | {one.cpu_sec:.1f} | {one.bytes_share:.3f}"
            f" | {one.connections} | {same} |"
        )
    return "\n".join(rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.access_modes", description=__doc__)
    parser.add_argument("--minutes", type=float, default=40.0, help="length of the recording")
    parser.add_argument("--mb-per-sec", type=float, default=0.5, help="of every connection")
    parser.add_argument("--readers", default="1,2,4", help="numbers of processes")
    parser.add_argument("--only", default=",".join(ENCODINGS), help="which containers")
    given = parser.parse_args()
    numbers = [int(number) for number in given.readers.split(",")]
    taken: list[Reading] = []
    with tempfile.TemporaryDirectory(prefix="longform-access-") as folder:
        scratch = Path(folder)
        files = scratch / "files"
        files.mkdir()
        audio = scratch / "long.flac"
        make_long(speech_files(media_folder(), frozenset()), given.minutes * 60, audio)
        server = Server(files, given.mb_per_sec)
        try:
            for file in encode(audio, files):
                if file.suffix[1:] not in given.only.split(","):
                    continue
                for one in readings(server, file, numbers, scratch):
                    taken.append(one)
                    sys.stderr.write(
                        f"{one.file} {one.way} {one.num_readers}: {one.wall_sec:.1f}\n"
                    )
        finally:
            server.close()
    sys.stdout.write(table(taken) + "\n")


if __name__ == "__main__":
    main()
