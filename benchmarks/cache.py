"""How long a full rerun takes when every macro chunk comes from the cache.

    python -m benchmarks.cache [--hours 10] [--rounds 3]

The cache is filled by a run whose engine is simulated: what is stored is as long as real
transcripts are. Then the server runs and no cluster is needed. The rerun is timed from the command
to the prompt, and from start to end of its flow run; what it took from the cache is read from its
artifacts, through the API.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.api import artifacts, found
from benchmarks.place import cluster, goal, place, transcribe
from benchmarks.quality import line
from benchmarks.recordings import make_long, media_folder, speech_files
from benchmarks.watched_engines import SLEEPING
from longform.params import parse_params

GOAL_SEC = 10.0
FILLING_SPEED = 5_000.0  # times real time: only what is stored matters
FIGURE = re.compile(r"^\| (Status|Duration|Macro chunks) +\| (.*?) +\|$", re.MULTILINE)
FILES = "json,srt,vtt,txt,tsv,html"


@dataclass(frozen=True, slots=True)
class Rerun:
    """One run that finds everything in the cache."""

    wall_sec: float  # from the command to the prompt
    flow_sec: float  # from start to end of the flow run
    summary: dict[str, str]  # what its summary artifact says
    same_text: bool


def rerun(audio: Path, target: Path, expected: str) -> Rerun:
    """Run the command once more; look at its run through the API."""
    command = [sys.executable, "-m", "cli", "transcribe", str(audio), "-o", str(target), "-q"]
    started_sec = time.monotonic()
    subprocess.run([*command, "-f", FILES, "--chunking", "silence"], check=True)
    wall_sec = time.monotonic() - started_sec
    output = json.loads((target / f"{audio.stem}.json").read_text())
    run = output["run_url"].rpartition("/")[2]
    [artifact] = artifacts(run, "transcription-summary")
    [flow_run] = found("flow_runs", flow_runs={"id": {"any_": [run]}})
    return Rerun(
        wall_sec=wall_sec,
        flow_sec=flow_run["total_run_time"],
        summary=dict(FIGURE.findall(artifact["data"])),
        same_text=output["text"] == expected,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.cache", description=__doc__)
    parser.add_argument("--hours", type=float, default=10.0, help="length of the recording")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--format", default="flac", choices=("flac", "wav"))
    given = parser.parse_args()
    with place("cache") as home:
        audio = home / f"long.{given.format}"
        make_long(speech_files(media_folder(), frozenset({"en"})), given.hours * 3600, audio)
        # Cutting at the quietest point spares filling the cache an hour of voice detection.
        params = parse_params({"chunking": "silence"})
        started_sec = time.monotonic()
        with cluster(home, 1, SLEEPING, FILLING_SPEED):
            first = transcribe(audio, params, home / "first", use_cache=True)
        sys.stderr.write(f"the cache was filled in {time.monotonic() - started_sec:.0f} s\n")
        written = json.loads((home / "first" / "long.json").read_text())
        reruns = [
            rerun(audio, home / f"again-{number}", written["text"])
            for number in range(given.rounds)
        ]
    report(reruns, len(first.segments), given.hours)


def report(reruns: list[Rerun], num_segments: int, hours: float) -> None:
    """Print the reruns and the goals."""
    print(line("rerun", "command s", "of it flow s", "macro chunks", "status", "text"))
    print("|--:|--:|--:|---|---|---|")
    for number, one in enumerate(reruns, 1):
        chunks, status = one.summary["Macro chunks"], one.summary["Status"]
        same = f"the same, {num_segments} segments" if one.same_text else "DIFFERS"
        times = (f"{one.wall_sec:.1f}", f"{one.flow_sec:.1f}")
        print(line(number, *times, chunks, status, same))
    expected = f"{hours * 12:.0f}, {hours * 12:.0f} from the cache"
    is_whole = all(
        one.same_text
        and one.summary["Macro chunks"] == expected
        and one.summary["Duration"] == f"{hours * 3600:.1f} s"
        for one in reruns
    )
    slowest = max(one.wall_sec for one in reruns)
    print()
    print(goal(f"{GOAL_SEC:.0f} s", f"{slowest:.1f}", is_met=slowest <= GOAL_SEC))
    print(goal("in the artifacts", expected, is_met=is_whole))


if __name__ == "__main__":
    main()
