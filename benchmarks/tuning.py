"""What the settings that people turn do: batch, micro chunk, macro chunk, slots.

    python -m benchmarks.tuning [--minutes 15] [--only batch_size,...]

One curve each, everything else at its default. Batch: the engine alone. Micro chunks: errors and
CPU over the recordings with references. Macro chunks and slots: `longform transcribe` with every
process counted, the server running already.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from benchmarks.corpus import read_manifest
from benchmarks.process_tree import Cost, measure
from benchmarks.quality import line
from benchmarks.recordings import make_long, media_folder, speech_files
from benchmarks.scoring import count_errors, total
from benchmarks.systems import longform_hears
from infra.prefect_server import STATE_FILE, ensure_server, stop_server
from longform.params import parse_params
from longform.speech.engines import close_engines

MB = 1e6  # bytes
BATCH_SIZES = (1, 2, 4, 8, 16)
MICRO_SIZES_SEC = (10, 15, 20, 30)
MACRO_SIZES_SEC = (60, 120, 300, 600)
SLOTS = (1, 2, 4)


class Place:
    """A temporary home with a server, and a recording of the length that was asked for."""

    def __init__(self, folder: Path, minutes: float) -> None:
        self._folder = folder
        self.duration_sec = minutes * 60
        self.audio = folder / "speech.flac"
        make_long(speech_files(media_folder(), frozenset({"en"})), self.duration_sec, self.audio)

    def run(self, *command: str | Path, **settings: object) -> tuple[Cost, str]:
        """Run a module to its end; return its cost and what it printed."""
        log = self._folder / "log"
        environment = {f"LONGFORM_{name.upper()}": str(value) for name, value in settings.items()}
        cost = measure(
            [sys.executable, "-m", *map(str, command)],
            environment=os.environ | environment,
            server_state=self._folder / STATE_FILE,
            log=log,
        )
        if cost.exit_code:
            raise SystemExit(f"{command[0]} failed:\n{log.read_text()[-2_000:]}")
        return cost, log.read_text()

    def transcribe(self, *options: str, **settings: object) -> Cost:
        """Run `longform transcribe` on the recording."""
        place = ("-o", self._folder / "out", "-f", "json", "--no-cache", "-q")
        return self.run("cli", "transcribe", self.audio, *place, *options, **settings)[0]


def batch_size(place: Place) -> Iterator[str]:
    """Yield what the batch does to the engine alone."""
    yield line("batch_size", "times real time", "fill of a batch", "CPU s", "peak MB")
    yield "|---|" + "--:|" * 4
    for size in BATCH_SIZES:
        params = json.dumps({"batch_size": size})
        cost, printed = place.run("benchmarks.engine_alone", place.audio, "--params", params)
        found = json.loads(printed.splitlines()[-1])
        peak = f"{cost.peak_process_bytes / MB:.0f}"
        yield line(size, found["times_real_time"], found["fill"], f"{cost.cpu_sec:.0f}", peak)


def micro_chunk_size_sec(place: Place) -> Iterator[str]:
    """Yield what the longest micro chunk does to text and CPU, over the spoken recordings."""
    yield line("micro_chunk_size_sec", "words", "WER", "CPU s")
    yield "|---|" + "--:|" * 3
    spoken = [each for each in read_manifest(media_folder()) if each.language]
    for size in MICRO_SIZES_SEC:
        params = parse_params({"micro_chunk_size_sec": size})
        heard = [longform_hears(recording.path, params) for recording in spoken]
        errors = total(
            count_errors(recording.reference, each.text, recording.language)
            for recording, each in zip(spoken, heard, strict=True)
        )
        cpu_sec = sum(each.cpu_sec for each in heard)
        yield line(size, errors.num_units, f"{errors.rate:.4f}", f"{cpu_sec:.0f}")
    close_engines()


def _whole(place: Place, cost: Cost) -> tuple[str, ...]:
    times = f"{place.duration_sec / cost.wall_sec:.1f}"
    peaks = (cost.peak_process_bytes, cost.peak_total_bytes)
    return times, f"{cost.cpu_sec:.0f}", *(f"{peak / MB:.0f}" for peak in peaks)


def macro_chunk_size_sec(place: Place) -> Iterator[str]:
    """Yield what the length of a macro chunk does to a whole run."""
    yield line("macro_chunk_size_sec", "times real time", "CPU s", "peak of one MB", "of all MB")
    yield "|---|" + "--:|" * 4
    for size in MACRO_SIZES_SEC:
        cost = place.transcribe("--macro-chunk-size-sec", str(size))
        yield line(size, *_whole(place, cost))


def slots_per_worker(place: Place) -> Iterator[str]:
    """Yield what the macro chunks in flight do to a whole run."""
    header = "LONGFORM_SLOTS_PER_WORKER"
    yield line(header, "times real time", "CPU s", "peak of one MB", "of all MB")
    yield "|---|" + "--:|" * 4
    for slots in SLOTS:
        # Short macro chunks, so that there are several at a time.
        cost = place.transcribe("--macro-chunk-size-sec", "60", slots_per_worker=slots)
        yield line(slots, *_whole(place, cost))


CURVES: Mapping[str, Callable[[Place], Iterator[str]]] = {
    curve.__name__: curve
    for curve in (batch_size, micro_chunk_size_sec, macro_chunk_size_sec, slots_per_worker)
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=15.0, help="length of the recording")
    parser.add_argument("--only", default=",".join(CURVES), help="which curves")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="longform-tuning-") as scratch:
        folder = Path(scratch)
        os.environ |= {"LONGFORM_HOME": str(folder), "PREFECT_HOME": str(folder / "prefect")}
        os.environ.pop("PREFECT_API_URL", None)
        place = Place(folder, given.minutes)
        ensure_server(folder)
        try:
            for name in given.only.split(","):
                print(f"\n{name}\n")
                for row in CURVES[name](place):
                    print(row, flush=True)
        finally:
            stop_server(folder)


if __name__ == "__main__":
    main()
