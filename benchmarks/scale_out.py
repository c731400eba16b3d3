"""How a long recording spreads over 1, 2, 4, 8, 16 workers whose GPUs are simulated.

    python -m benchmarks.scale_out [--hours 10] [--workers 1,2,4,8,16] [--times-real-time 20]

The engine sleeps as long as a GPU of that speed would compute, so two cores can feed many of
them: what is measured is whether the flow keeps all of them at work. Everything else is real: the
server, the flow, the Dask processes, ffmpeg, the search for boundaries, subflows and the cache.
The source is WAV, and micro chunks are cut at the quietest point by default: that costs the least
CPU. The cluster runs, and has transcribed a short clip, before the clock starts; each run is one
flow run from start to end.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.place import Measured, cluster, goal, measuring, place, transcribe
from benchmarks.quality import line
from benchmarks.recordings import make_long, media_folder, speech_files
from benchmarks.watched_engines import SLEEPING
from longform.params import TranscribeParams, parse_params

GOAL_WORKERS, GOAL_EFFICIENCY = 8, 0.9
CLIP_SEC = 20.0  # what everything is imported and begun with


@dataclass(frozen=True, slots=True)
class Reading:
    """One run on so many workers."""

    num_workers: int
    run: Measured

    @property
    def busy_share(self) -> float:
        """Share of the whole run that the engines spent in calls."""
        return self.run.engine_sec / (self.num_workers * self.run.wall_sec)

    @property
    def tail_sec(self) -> float:
        """From the first worker that has nothing left to do, to the last."""
        ends = [calls[-1].ended_unix_sec for calls in self.run.by_worker().values()]
        return max(ends) - min(ends)

    @property
    def head_sec(self) -> float:
        """From the start of the run until every worker is at work."""
        starts = [calls[0].started_unix_sec for calls in self.run.by_worker().values()]
        return max(starts) - self.run.began_unix_sec


def efficiency(one: Reading, others: list[Reading]) -> str:
    """Return T1 / (n Tn), where one worker was measured as well."""
    alone = next((other.run.wall_sec for other in others if other.num_workers == 1), None)
    return f"{alone / (one.num_workers * one.run.wall_sec):.3f}" if alone else "-"


def table(readings: list[Reading]) -> str:
    """Return the readings as markdown."""
    header = ("workers", "wall s", "T1 / (n Tn)", "engines busy", "until all work s")
    rows = [line(*header, "last to end after first s", "fill of a batch", "CPU busy")]
    rows.append("|" + "--:|" * 8)
    for one in readings:
        row: tuple[object, ...] = (
            one.num_workers,
            f"{one.run.wall_sec:.1f}",
            efficiency(one, readings),
        )
        row += (f"{one.busy_share:.3f}", f"{one.head_sec:.1f}", f"{one.tail_sec:.1f}")
        rows.append(line(*row, f"{one.run.fill:.2f}", f"{one.run.cpu_share:.2f}"))
    return "\n".join(rows)


def verdict(readings: list[Reading]) -> str:
    """Return whether the goal is met, in one line.

    One worker cannot take less than its engine does, so the share of the time in which the
    engines of n workers are busy is the least that T1 / (n Tn) can be.
    """
    what = f"efficiency of at least {GOAL_EFFICIENCY} on {GOAL_WORKERS} workers"
    reached = [one.busy_share for one in readings if one.num_workers == GOAL_WORKERS]
    if not reached:
        return f"{what}: not measured"
    return goal(what, f"{reached[0]:.3f}", is_met=reached[0] >= GOAL_EFFICIENCY)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.scale_out", description=__doc__)
    parser.add_argument("--hours", type=float, default=10.0, help="length of the recording")
    parser.add_argument("--workers", default="1,2,4,8,16")
    parser.add_argument("--times-real-time", type=float, default=20.0, help="of one GPU")
    parser.add_argument("--chunking", default="silence", choices=("silence", "vad"))
    parser.add_argument("--macro-chunk-size-sec", type=float, default=300.0)
    given = parser.parse_args()
    params = parse_params(
        {"chunking": given.chunking, "macro_chunk_size_sec": given.macro_chunk_size_sec}
    )
    readings: list[Reading] = []
    with place("scale") as home:
        audio, clip = home / "long.wav", home / "clip.wav"
        for file, seconds in ((audio, given.hours * 3600), (clip, CLIP_SEC)):
            make_long(speech_files(media_folder(), frozenset({"en"})), seconds, file)
        for num_workers in map(int, given.workers.split(",")):
            readings.append(read((clip, audio), num_workers, given.times_real_time, params))
            sys.stderr.write(f"{num_workers} workers: {readings[-1].run.wall_sec:.1f} s\n")
    print(table(readings), verdict(readings), sep="\n\n")


def read(
    files: tuple[Path, Path], num_workers: int, speed: float, params: TranscribeParams
) -> Reading:
    """Run a clip, then the recording, on so many workers."""
    (clip, audio), runs = files, list[Measured]()
    target = audio.with_name(f"out-{num_workers}")
    with cluster(audio.parent, num_workers, SLEEPING, speed) as calls:
        transcribe(clip, params, target)
        with measuring(audio.parent, calls, runs):
            output = transcribe(audio, params, target)
    if output.status != "complete":
        raise SystemExit(f"the transcript is {output.status}")
    return Reading(num_workers, runs[0])


if __name__ == "__main__":
    main()
