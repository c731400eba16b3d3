"""How long somebody waits: for the first words, for a short clip, and after a cold start.

    python -m benchmarks.latency [--only words,clip,deployment,cold] [--cold-minutes 10]

- `words`: a recording of several macro chunks, the server running. When do words of it show in the
  artifact of the run, and when did the second macro chunk end? Both by the API's clock or this
  machine's, which are the same.
- `clip`: 30 s through the command, the server running: how much longer than the engine's calls.
- `deployment`: 30 s through `prefect deployment run`, server and process worker running: where each
  second goes.
- `cold`: no server, no cluster, no model: to the end of the engine's first call, and to the end of
  the command, beside `BatchedInferencePipeline` from its start.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.place import goal, place
from benchmarks.prefect_calls import artifacts, found, states, subflow_runs, task_runs, unix_sec
from benchmarks.quality import line
from benchmarks.recordings import REPO_ROOT, make_long, media_folder, speech_files
from benchmarks.watched_engines import CALLS_VARIABLE, REAL, EngineCall, read_calls, read_loads
from infra.prefect_server import stop_server
from longform.speech.weights import resolve

CLIP_SEC = 30.0
WORDS_SEC, WORDS_MACRO_SEC = 240.0, 60
POLL_SEC = 0.1
DEPLOYMENT, POOL = "transcribe/local", "longform-local"
PATIENCE_SEC = 300.0
GOAL_OVER_ENGINE_SEC = 10.0
GOAL_FIRST_SEC, GOAL_COLD_SHARE = 15.0, 1.15


@dataclass(frozen=True, slots=True)
class Bench:
    """Where everything lies."""

    home: Path
    cold_minutes: float

    def audio(self, seconds: float) -> Path:
        """Return a recording of a length."""
        file = self.home / f"speech-{seconds:.0f}.flac"
        if not file.exists():
            make_long(speech_files(media_folder(), frozenset({"en"})), seconds, file)
        return file

    def calls(self, name: str) -> Path:
        """Return a folder for the calls of an engine, in force for children."""
        folder = self.home / "calls" / name
        folder.mkdir(parents=True, exist_ok=True)
        os.environ[CALLS_VARIABLE] = str(folder)
        return folder

    def command(self, audio: Path, *options: str) -> list[str]:
        """Return the command that transcribes a recording."""
        files = (str(audio), "-o", str(self.home / "out"), "-f", "json,txt")
        return [sys.executable, "-m", "cli", "transcribe", *files, "--no-cache", "-q", *options]

    def output(self, audio: Path) -> dict[str, str]:
        """Return what was written about a recording."""
        written: dict[str, str] = json.loads((self.home / f"out/{audio.stem}.json").read_text())
        return written


def words(bench: Bench) -> Iterator[str]:
    """Yield when the first words could be seen."""
    audio, calls = bench.audio(WORDS_SEC), bench.calls("words")
    started_sec = time.time()
    command = bench.command(audio, "--macro-chunk-size-sec", str(WORDS_MACRO_SEC))
    seen_sec = 0.0
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            time.sleep(POLL_SEC)
            rows = found("artifacts", artifacts={"key": {"any_": ["transcription-progress"]}})
            if not seen_sec and any("`0:0" in row["description"] for row in rows):
                seen_sec = time.time()
    ended_sec = time.time()
    run_id = bench.output(audio)["run_url"].rpartition("/")[2]
    first, second = subflow_runs(run_id)[:2]
    marks = {
        "the engine has its first words": read_calls(calls)[0].ended_unix_sec,
        "words are in the artifact": seen_sec,
        "the first macro chunk has ended": first.ended_unix_sec,
        "the second macro chunk has ended": second.ended_unix_sec,
        "the command has ended": ended_sec,
    }
    yield from ("| after the command, s | |", "|--:|---|")
    for what, when_sec in sorted(marks.items(), key=lambda mark: mark[1]):
        yield line(f"{when_sec - started_sec:.1f}", what)
    is_met = 0.0 < seen_sec < second.ended_unix_sec
    before = f"{second.ended_unix_sec - seen_sec:.1f} s before"
    yield f"\n{goal('words are seen before the second macro chunk ends', before, is_met=is_met)}"


def clip(bench: Bench) -> Iterator[str]:
    """Yield what the command takes beside the engine's calls, for a short clip."""
    audio = bench.audio(CLIP_SEC)
    yield line("run", "command s", "engine's calls s", "over the engine s")
    yield "|--:|--:|--:|--:|"
    over_sec = 0.0
    for number in (1, 2, 3):
        calls = bench.calls(f"clip-{number}")
        started_sec = time.monotonic()
        subprocess.run(bench.command(audio), check=True)
        wall_sec = time.monotonic() - started_sec
        engine_sec = sum(call.duration_sec for call in read_calls(calls))
        over_sec = wall_sec - engine_sec
        yield line(number, f"{wall_sec:.1f}", f"{engine_sec:.1f}", f"{over_sec:.1f}")
    is_met = over_sec <= GOAL_OVER_ENGINE_SEC
    what = f"the command at most {GOAL_OVER_ENGINE_SEC:.0f} s over the engine, server running"
    yield f"\n{goal(what, f'{over_sec:.1f}', is_met=is_met)}"


def deployment(bench: Bench) -> Iterator[str]:
    """Yield where the seconds go between a request to a deployment and its result."""
    audio = bench.audio(CLIP_SEC)
    subprocess.run(
        [sys.executable, "-m", "cli", "deploy"],
        cwd=REPO_ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    calls = bench.calls("deployment")
    with process_worker(bench.home):
        for _ in range(2):  # the first brings everything into the page cache
            marks = request(bench, audio, calls)
    yield from ("| s | at s | |", "|--:|--:|---|")
    began_sec = before_sec = marks.pop("")
    for what, when_sec in marks.items():
        yield line(f"{when_sec - before_sec:.2f}", f"{when_sec - began_sec:.2f}", what)
        before_sec = when_sec


@contextmanager
def process_worker(home: Path) -> Iterator[None]:
    """Run a process worker of the pool, which the server knows."""
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL]
    with (home / "worker.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(lambda: found(f"work_pools/{POOL}/workers", limit=1))
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def wait_for(look: object) -> None:
    """Wait until there is something to see."""
    assert callable(look)
    deadline_sec = time.monotonic() + PATIENCE_SEC
    while not look():
        if time.monotonic() > deadline_sec:
            raise SystemExit("what was waited for did not come")
        time.sleep(POLL_SEC)


def request(bench: Bench, audio: Path, calls: Path) -> dict[str, float]:
    """Ask for a transcript; return when each step of its way had ended, in order."""
    known = {*read_calls(calls)}, {*read_loads(calls)}
    given = {"media_url": str(audio), "output_dir": str(bench.home / "out"), "use_cache": False}
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deployment", "run", DEPLOYMENT]
    began_sec = time.time()
    done = subprocess.run(
        [*command, "--params", json.dumps(given)], check=True, capture_output=True, text=True
    )
    run_id = re.findall(r"UUID: ([0-9a-f-]{36})", done.stdout)[0]
    wait_for(lambda: "COMPLETED" in states(run_id) or "FAILED" in states(run_id))
    # The server notes task runs up to a second after they have ended.
    wait_for(lambda: {"source_check", "write"} <= task_runs(run_id).keys())
    at, tasks = states(run_id), task_runs(run_id)
    [run] = found("flow_runs", flow_runs={"id": {"any_": [run_id]}})
    [opened] = artifacts(run_id, "dask-dashboard")
    ended = [call for call in read_calls(calls) if call not in known[0]]
    made = ended[0]
    [load] = [load for load in read_loads(calls) if load not in known[1]]
    return {
        "": began_sec,
        "the command `prefect deployment run`, until the run is known": unix_sec(run["created"]),
        "a process worker picks it up": at["PENDING"],
        "a process is started, and imports": at["RUNNING"],
        "the source is opened": tasks["source"].ended_unix_sec,
        "it is probed": tasks["probe"].ended_unix_sec,
        "the weights are found": tasks["engine_choice"].ended_unix_sec,
        "the cluster is started": unix_sec(opened["created"]),
        "the model is loaded": load[1],
        "task, subflow, decoding, voice detection": made.started_unix_sec,
        "the engine": ended[-1].ended_unix_sec,
        "subflow and task end, the source is checked again": tasks["source_check"].ended_unix_sec,
        "the transcript is joined": tasks["join"].ended_unix_sec,
        "it is written: the result is there": tasks["write"].ended_unix_sec,
        "artifacts, the cluster is closed": at["COMPLETED"],
    }


def cold(bench: Bench) -> Iterator[str]:
    """Yield what a start from nothing takes, beside faster-whisper's."""
    audio, calls = bench.audio(bench.cold_minutes * 60), bench.calls("cold")
    weights, text = resolve("base", bench.home).path, bench.home / "baseline.txt"
    started_sec = time.monotonic()
    plain = ("-m", "benchmarks.baseline", str(audio), str(weights), str(text))
    subprocess.run([sys.executable, *plain], check=True)
    baseline_sec = time.monotonic() - started_sec
    stop_server(bench.home)
    own = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    own["PREFECT_HOME"] = str(bench.home / "no-profile")
    began_sec = time.time()
    subprocess.run(bench.command(audio), check=True, env=own)
    wall_sec = time.time() - began_sec
    made: list[EngineCall] = read_calls(calls)
    first_sec = made[0].ended_unix_sec - began_sec
    yield from ("| s | |", "|--:|---|")
    yield line(f"{baseline_sec:.1f}", "`BatchedInferencePipeline`, from its start to its end")
    yield line(f"{read_loads(calls)[0][0] - began_sec:.1f}", "until the model begins to load")
    yield line(f"{made[0].started_unix_sec - began_sec:.1f}", "until the engine's first call")
    yield line(f"{first_sec:.1f}", "until the first words")
    yield line(f"{wall_sec:.1f}", "until the command has ended")
    share = wall_sec / baseline_sec
    what = f"first words within {GOAL_FIRST_SEC:.0f} s of a cold start"
    yield f"\n{goal(what, f'{first_sec:.1f}', is_met=first_sec <= GOAL_FIRST_SEC)}"
    what = f"at most {GOAL_COLD_SHARE} of the other's wall time"
    yield goal(what, f"{share:.2f}", is_met=share <= GOAL_COLD_SHARE)


PARTS = {part.__name__: part for part in (words, clip, deployment, cold)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.latency", description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS), help="which parts")
    parser.add_argument("--cold-minutes", type=float, default=10.0)
    given = parser.parse_args()
    with place("latency") as home:
        os.environ["LONGFORM_ENGINE"] = REAL
        bench = Bench(home, given.cold_minutes)
        for name, part in PARTS.items():  # `cold` ends the server, and comes last
            if name in given.only.split(","):
                print(f"\n{name}\n")
                for row in part(bench):
                    print(row, flush=True)


if __name__ == "__main__":
    main()
