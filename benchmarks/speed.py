"""Wall time, CPU time and peak memory of `longform transcribe` next to faster-whisper alone.

The same hour of speech, the same weights, in turn in one run. Every process counts: the
Prefect server, the Dask scheduler, the workers and each ffmpeg. `warm`: the server is running
already; `cold`: it is not. In both the weights and the server's database are in place.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.process_tree import Cost, measure
from benchmarks.recordings import make_long, media_folder, speech_files
from infra.prefect_server import STATE_FILE, ensure_server, stop_server
from longform.speech.weights import resolve

MB = 1e6  # bytes
SYSTEMS = ("baseline", "warm", "cold")
LOG_TAIL_CHARS = 2_000


@dataclass(frozen=True, slots=True)
class Goal:
    """A share of the baseline's cost that must not be exceeded, for an hour of audio."""

    label: str
    of: Callable[[Cost], float]
    most: float


GOALS = (
    Goal("wall", lambda cost: cost.wall_sec, 0.9),
    Goal("CPU", lambda cost: cost.cpu_sec, 1.05),
    Goal("peak memory of one process", lambda cost: cost.peak_process_bytes, 0.5),
)


@dataclass(frozen=True, slots=True)
class Run:
    """One measured run of one system."""

    system: str
    round: int
    cost: Cost
    num_words: int


class Bench:
    """A temporary home with everything in it that the runs share."""

    def __init__(self, scratch: Path, given: argparse.Namespace) -> None:
        self._scratch = scratch
        self._given = given
        self._home = scratch / "home"
        self._audio = scratch / "long.flac"
        os.environ["PREFECT_HOME"] = str(scratch / "no-profile")
        os.environ.pop("PREFECT_API_URL", None)
        languages = frozenset(filter(None, given.languages.split(",")))
        files = speech_files(media_folder(), languages)
        make_long(files, given.minutes * 60, self._audio)
        self._model = resolve(given.model, self._home).path
        ensure_server(self._home)

    def close(self) -> None:
        """End the server that the runs used."""
        stop_server(self._home)

    def run(self, system: str, round_number: int) -> Run:
        """Measure one run of one system; leave with its output where it fails."""
        if system == "warm":
            ensure_server(self._home)
        else:
            stop_server(self._home)
        log = self._scratch / f"{system}.log"
        cost = measure(
            self._command(system),
            environment=os.environ | {"LONGFORM_HOME": str(self._home)},
            server_state=self._home / STATE_FILE,
            log=log,
        )
        if cost.exit_code != 0:
            raise SystemExit(f"{system} failed:\n{log.read_text()[-LOG_TAIL_CHARS:]}")
        return Run(system, round_number, cost, len(self._text(system).read_text().split()))

    def _text(self, system: str) -> Path:
        return self._scratch / ("baseline.txt" if system == "baseline" else "out/long.txt")

    def _command(self, system: str) -> list[str]:
        given = self._given
        decoding = ["--batch-size", str(given.batch_size), "--beam-size", str(given.beam_size)]
        decoding += ["--device", given.device]
        if given.no_word_timestamps:
            decoding.append("--no-word-timestamps")
        if system == "baseline":
            program = [sys.executable, "-m", "benchmarks.baseline"]
            files = [str(self._audio), str(self._model), str(self._text(system))]
            return [*program, *files, *decoding]
        program = [str(Path(sys.executable).with_name("longform")), "transcribe", str(self._audio)]
        place = ["-o", str(self._scratch / "out"), "-f", "json,txt", "--no-cache"]
        return [*program, *place, "--model", given.model, *decoding]


def table(runs: list[Run], minutes: float) -> str:
    """Return the runs and their ratios to the baseline of the same round, as markdown."""
    rows = [
        "| run | wall s | times real time | CPU s | of it server | peak of one process MB "
        "| peak of all MB | words |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for run in runs:
        cost = run.cost
        rows.append(
            f"| {run.system} {run.round} | {cost.wall_sec:.1f} | {minutes * 60 / cost.wall_sec:.1f}"
            f" | {cost.cpu_sec:.1f} | {cost.server_cpu_sec:.1f}"
            f" | {cost.peak_process_bytes / MB:.0f} | {cost.peak_total_bytes / MB:.0f}"
            f" | {run.num_words} |"
        )
    return "\n".join([*rows, "", *_ratios(runs)])


def _ratios(runs: list[Run]) -> list[str]:
    baselines = {run.round: run.cost for run in runs if run.system == "baseline"}
    rows = ["| share of the baseline | goal for an hour | " + " | ".join(SYSTEMS[1:]) + " |"]
    rows.append("|---|--:|" + "--:|" * len(SYSTEMS[1:]))
    for goal in GOALS:
        cells = []
        for system in SYSTEMS[1:]:
            shares = [
                goal.of(run.cost) / goal.of(baselines[run.round])
                for run in runs
                if run.system == system and run.round in baselines
            ]
            cells.append(", ".join(f"{share:.2f}" for share in shares) or "-")
        rows.append(f"| {goal.label} | {goal.most:.2f} | {' | '.join(cells)} |")
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.speed", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="length of the recording")
    parser.add_argument("--rounds", type=int, default=1, help="how often each system runs")
    parser.add_argument(
        "--languages",
        default="en",
        help="speech to repeat; '' for any. The baseline decodes a file in one language only",
    )
    parser.add_argument("--model", default="base")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--beam-size", type=int, default=5)
    parser.add_argument("--no-word-timestamps", action="store_true")
    parser.add_argument("--only", default=",".join(SYSTEMS), help="baseline, warm, cold")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    given = parser.parse_args()
    systems = [system for system in SYSTEMS if system in given.only.split(",")]
    runs: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="longform-speed-") as scratch:
        bench = Bench(Path(scratch), given)
        try:
            for number in range(1, given.rounds + 1):
                for system in systems:
                    runs.append(bench.run(system, number))
                    sys.stderr.write(f"{system}: {runs[-1].cost.wall_sec:.1f} s\n")
        finally:
            bench.close()
    sys.stdout.write(table(runs, given.minutes) + "\n")
    if given.json:
        given.json.write_text(json.dumps([asdict(run) for run in runs], indent=2) + "\n")


if __name__ == "__main__":
    main()
