"""The memory of every process, for recordings of different lengths, beside faster-whisper's one.

    python -m benchmarks.memory [--hours 1,10] [--real-minutes 10,60] [--whisper-hours 10]

- The pipeline alone: an engine that sleeps in place of the model, and says as much as people do.
- With the real model, on shorter recordings: what the model takes depends on the batch alone.
- faster-whisper's `BatchedInferencePipeline` up to its first segment: by then it has decoded the
  whole file and knows all of its speech; what follows only adds.

A process's peak is its VmHWM, read until it ends; ffmpegs and workers are counted by role, the
largest of each. The total is the largest sum of proportional sizes (PSS), in which a shared page
counts once.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.place import goal, place
from benchmarks.quality import line
from benchmarks.recordings import make_long, media_folder, speech_files
from benchmarks.watched_engines import CALLS_VARIABLE, REAL, SLEEPING, SPEED_VARIABLE
from infra.prefect_server import read_state
from longform.speech.weights import resolve

MB = 1e6  # bytes
SAMPLE_SEC = 0.2
GOAL_GROWTH, GOAL_SHARE = 1.1, 0.25
ROLES = ("flow", "worker", "server", "ffmpeg", "other")


@dataclass(slots=True)
class Peaks:
    """The largest sizes that were seen, in bytes."""

    by_role: dict[str, int] = field(default_factory=dict)
    total: int = 0

    def note(self, role: str, peak_bytes: int) -> None:
        """Keep the larger one."""
        self.by_role[role] = max(self.by_role.get(role, 0), peak_bytes)


def peak_bytes(pid: int) -> int:
    """Return the VmHWM of a process; 0 where it has ended."""
    with suppress(OSError):
        for row in Path(f"/proc/{pid}/status").read_text().splitlines():
            if row.startswith("VmHWM:"):
                return int(row.split()[1]) * 1024
    return 0


class Sampler(threading.Thread):
    """Watches a command and the server until it is told to stop."""

    def __init__(self, command: int, home: Path) -> None:
        super().__init__(daemon=True)
        self._command = command
        self._home = home
        self._done = threading.Event()
        self.peaks = Peaks()

    def run(self) -> None:
        """Sample until told to stop."""
        while not self._done.wait(SAMPLE_SEC):
            with suppress(psutil.Error):
                self._sample()

    def stop(self) -> Peaks:
        """Stop, and return what was seen."""
        self._done.set()
        self.join()
        return self.peaks

    def _sample(self) -> None:
        state = read_state(self._home)
        server = state.process() if state else None
        root = psutil.Process(self._command)
        total = 0
        for process in [root, *root.children(recursive=True), *([server] if server else [])]:
            with suppress(psutil.Error):
                role = self._role(process, server)
                self.peaks.note(role, peak_bytes(process.pid))
                total += process.memory_full_info().pss
        self.peaks.total = max(self.peaks.total, total)

    def _role(self, process: psutil.Process, server: psutil.Process | None) -> str:
        if process.pid == self._command:
            return "flow"
        if server is not None and process.pid == server.pid:
            return "server"
        words = " ".join(process.cmdline())
        return "ffmpeg" if "ffmpeg" in words else "worker" if "spawn_main" in words else "other"


def run(home: Path, audio: Path, engine: str) -> Peaks:
    """Transcribe a recording with the command; return the peaks of its processes."""
    calls = home / f"calls-{time.monotonic_ns()}"
    calls.mkdir()
    own = {"LONGFORM_ENGINE": engine, CALLS_VARIABLE: str(calls), SPEED_VARIABLE: "5000"}
    command = [sys.executable, "-m", "cli", "transcribe", str(audio), "-o", str(home / "out")]
    with subprocess.Popen([*command, "-q", "--no-cache"], env=os.environ | own) as process:
        sampler = Sampler(process.pid, home)
        sampler.start()
        process.wait()
    if process.returncode:
        raise SystemExit(f"the command failed with {process.returncode}")
    return sampler.stop()


def first_segment(audio: Path, weights: Path) -> int:
    """Return the peak of faster-whisper's process once it has its first segment."""
    code = (
        "import sys; from faster_whisper import BatchedInferencePipeline, WhisperModel\n"
        "from benchmarks.memory import peak_bytes; import os\n"
        "pipeline = BatchedInferencePipeline(WhisperModel(sys.argv[2]))\n"
        "segments, _ = pipeline.transcribe(sys.argv[1], batch_size=8, word_timestamps=True)\n"
        "next(iter(segments)); print(peak_bytes(os.getpid()))"
    )
    command = [sys.executable, "-c", code, str(audio), str(weights)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def rows(name: str, peaks: Peaks) -> str:
    """Return a row of the table."""
    sizes = (f"{peaks.by_role.get(role, 0) / MB:.0f}" for role in ROLES)
    return line(name, *sizes, f"{peaks.total / MB:.0f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.memory", description=__doc__)
    parser.add_argument("--hours", default="1,10", help="with the engine that sleeps")
    parser.add_argument("--real-minutes", default="10,60", help="with the model; '' for none")
    parser.add_argument("--whisper-hours", type=float, default=10.0, help="0 for none")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    given = parser.parse_args()
    print(line("recording", *(f"{role} MB" for role in ROLES), "all at a time MB"))
    print("|---|" + "--:|" * (len(ROLES) + 1), flush=True)
    found: dict[str, Peaks] = {}
    with place("memory") as home:
        lengths = {
            f"{hours} h, no model": (float(hours) * 3600, SLEEPING) for hours in words(given.hours)
        }
        lengths |= {
            f"{each} min, model": (float(each) * 60, REAL) for each in words(given.real_minutes)
        }
        for name, (seconds, engine) in lengths.items():
            found[name] = run(home, speech(home, seconds), engine)
            print(rows(name, found[name]), flush=True)
        whisper = 0
        if given.whisper_hours:
            audio = speech(home, given.whisper_hours * 3600)
            whisper = first_segment(audio, resolve("base", home).path)
            print(
                f"\nfaster-whisper, {given.whisper_hours:g} h, up to its first segment: "
                f"{whisper / MB:.0f} MB in one process\n",
                flush=True,
            )
    for row in verdicts(found, whisper):
        print(row)
    if given.json:
        figures = {name: peaks.by_role | {"all": peaks.total} for name, peaks in found.items()}
        given.json.write_text(json.dumps(figures | {"faster-whisper": {"all": whisper}}))


def words(text: str) -> list[str]:
    """Return the parts of a list."""
    return [part for part in text.split(",") if part]


def speech(home: Path, seconds: float) -> Path:
    """Return a recording of a length, made once."""
    file = home / f"speech-{seconds:.0f}.flac"
    if not file.exists():
        make_long(speech_files(media_folder(), frozenset({"en"})), seconds, file)
    return file


def verdicts(found: dict[str, Peaks], whisper: int) -> Iterator[str]:
    """Yield the goals."""
    pipeline = [peaks for name, peaks in found.items() if "no model" in name]
    if len(pipeline) > 1:
        first, last = pipeline[0], pipeline[-1]
        growth = {
            role: last.by_role[role] / first.by_role[role]
            for role in ROLES
            if first.by_role.get(role)
        }
        worst = max(growth, key=lambda role: growth[role])
        what = f"no process larger than {GOAL_GROWTH} x for the longest recording"
        reached = f"{worst} {growth[worst]:.2f}"
        yield goal(what, reached, is_met=growth[worst] <= GOAL_GROWTH)
    with_model = [peaks for name, peaks in found.items() if "no model" not in name]
    if with_model and pipeline and whisper:
        # The model's part does not grow with the recording: what the pipeline grows by is added.
        total = with_model[-1].total + max(0, pipeline[-1].total - pipeline[0].total)
        what = f"all processes at most {GOAL_SHARE} of faster-whisper's one"
        yield goal(what, f"{total / whisper:.2f}", is_met=total <= GOAL_SHARE * whisper)


if __name__ == "__main__":
    main()
