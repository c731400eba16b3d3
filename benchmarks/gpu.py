"""What a GPU does with an hour of speech: plain faster-whisper, longform's engine, the pipeline.

    python -m benchmarks.gpu [--minutes 60] [--device auto] [--batch-size 16]

The same recording, weights, beam and batch, one after the other in one run. Peak memory and
the share of the time in which the GPU works are read from nvidia-smi. The first minutes are
transcribed on the CPU as well, and the two texts must agree within a word error rate of 0.01.
Builds nothing; on a machine without a GPU it runs on the CPU, so that it is known to work.
Exits with 1 where a goal is missed on a GPU.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gpu_watch import GpuUse, GpuWatch, gpu_name
from benchmarks.recordings import REPO_ROOT, make_long, media_folder, speech_files
from benchmarks.scoring import count_errors
from infra.prefect_server import ensure_server, stop_server
from longform.speech.weights import resolve

MB = 1e6  # bytes
MIN_BUSY_SHARE = 0.8  # of the pipeline's wall time
MIN_SPEEDUP = 1.5  # of the pipeline over faster-whisper
MAX_CPU_DIFFERENCE = 0.01  # word error rate of the GPU's text against the CPU's
COMPARED_SEC = 300.0  # transcribed on the CPU as well


@dataclass(frozen=True)
class Measured:
    """One way through the recording."""

    name: str
    wall_sec: float
    stdout: str
    gpu: GpuUse | None

    def row(self, duration_sec: float, wall_sec: float | None = None) -> str:
        """Return a line of the table; `wall_sec` where a part of the time is meant."""
        taken = self.wall_sec if wall_sec is None else wall_sec
        busy = f"{self.gpu.busy_share:.2f}" if self.gpu else "-"
        peak = f"{self.gpu.peak_bytes / MB:.0f}" if self.gpu else "-"
        return f"| {self.name} | {taken:.1f} | {duration_sec / taken:.1f} | {busy} | {peak} |"


def measure(name: str, command: Sequence[str | Path]) -> Measured:
    """Run a command to its end beside a watch on the GPU."""
    with GpuWatch() as watch:
        started_sec = time.monotonic()
        done = subprocess.run(
            list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True, cwd=REPO_ROOT
        )
        wall_sec = time.monotonic() - started_sec
    sys.stderr.write(f"{name}: {wall_sec:.1f} s\n")
    return Measured(name, wall_sec, done.stdout, watch.use)


class Bench:
    """The recording, and the commands that are compared."""

    def __init__(self, folder: Path, given: argparse.Namespace) -> None:
        self._folder = folder
        self._given = given
        self._files = speech_files(media_folder(), frozenset({"en"}))
        self.audio = self._recording(given.minutes * 60, "long")
        self._model = resolve("base", folder).path

    def _recording(self, duration_sec: float, name: str) -> Path:
        target = self._folder / f"{name}.flac"
        make_long(self._files, duration_sec, target)
        return target

    def faster_whisper(self) -> Measured:
        """Run `BatchedInferencePipeline`, with the load of its model."""
        given = self._given
        program = [sys.executable, "-m", "benchmarks.baseline", str(self.audio), str(self._model)]
        options = ["--batch-size", str(given.batch_size), "--device", str(given.device)]
        name = "`BatchedInferencePipeline`"
        return measure(name, [*program, str(self._folder / "baseline.txt"), *options])

    def engine(self) -> Measured:
        """Run longform's engine alone."""
        params = {"batch_size": self._given.batch_size, "device": self._given.device}
        program = [sys.executable, "-m", "benchmarks.engine_alone", str(self.audio)]
        return measure("longform, engine alone", [*program, "--params", json.dumps(params)])

    def pipeline(self) -> Measured:
        """Run `longform transcribe`, its server running already."""
        return self._transcribe(self.audio, "longform", self._given.device)

    def difference_from_cpu(self, pipeline: Measured) -> float:
        """Return the word error rate of this device's text, the CPU's being the reference."""
        audio, here = self.audio, pipeline
        if self._given.minutes * 60 > COMPARED_SEC:
            audio = self._recording(COMPARED_SEC, "compared")
            here = self._transcribe(audio, "its first minutes", self._given.device)
        on_cpu = self._transcribe(audio, "the same on the CPU", "cpu")
        return count_errors(text_of(on_cpu), text_of(here), "en").rate

    def _transcribe(self, audio: Path, name: str, device: str) -> Measured:
        program = [sys.executable, "-m", "cli", "transcribe", str(audio), "--json", "--no-cache"]
        options = ["--batch-size", str(self._given.batch_size), "--device", device]
        return measure(name, [*program, *options, "-o", str(self._folder / "out"), "-f", "json"])


def text_of(transcribed: Measured) -> str:
    """Return the text of a transcript that was printed as JSON."""
    return "".join(segment["text"] for segment in json.loads(transcribed.stdout)["segments"])


def missed_goals(baseline: Measured, pipeline: Measured, difference: float) -> list[str]:
    """Print the goals; return those that are missed."""
    speedup = baseline.wall_sec / pipeline.wall_sec
    busy = pipeline.gpu.busy_share if pipeline.gpu else 0.0
    goals = {
        f"GPU busy at least {MIN_BUSY_SHARE}: {busy:.2f}": busy >= MIN_BUSY_SHARE,
        f"at least {MIN_SPEEDUP} times faster-whisper: {speedup:.2f}": speedup >= MIN_SPEEDUP,
        f"text within {MAX_CPU_DIFFERENCE} of the CPU's: {difference:.4f}": (
            difference <= MAX_CPU_DIFFERENCE
        ),
    }
    print()
    for goal, is_met in goals.items():
        print(f"{'met   ' if is_met else 'missed'}  {goal}")
    return [goal for goal, is_met in goals.items() if not is_met]


def run(folder: Path, given: argparse.Namespace) -> int:
    """Measure everything, print the table, and return the exit code."""
    name, duration_sec = gpu_name(), given.minutes * 60
    bench = Bench(folder, given)
    baseline, engine, pipeline = bench.faster_whisper(), bench.engine(), bench.pipeline()
    found = json.loads(engine.stdout)
    print(f"GPU: {name or 'none: this run is on the CPU, and shows only that the script works'}")
    print(f"device {found['device']}, compute type {found['compute_type']}, "
          f"batch size {found['batch_size']}, mean fill of a batch {found['fill']}")  # fmt: skip
    print(f"\n| {given.minutes:g} minutes of speech | wall s | times real time | GPU busy "
          "| peak GPU memory MB |\n|---|--:|--:|--:|--:|")  # fmt: skip
    print(baseline.row(duration_sec))
    # Loading the model and cutting the audio are no work of the engine.
    print(engine.row(duration_sec, found["wall_sec"]))
    print(pipeline.row(duration_sec))
    missed = missed_goals(baseline, pipeline, bench.difference_from_cpu(pipeline))
    return 1 if missed and name is not None else 0


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="length of the recording")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--batch-size", type=int, default=16)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="longform-gpu-") as scratch:
        folder = Path(scratch)
        os.environ |= {"LONGFORM_HOME": str(folder), "PREFECT_HOME": str(folder / "prefect")}
        os.environ.pop("PREFECT_API_URL", None)
        ensure_server(folder)
        try:
            return run(folder, given)
        finally:
            stop_server(folder)


if __name__ == "__main__":
    sys.exit(main())
