"""Does the engine wait for audio? How busy it is, and how full its batches are, in a whole run.

    python -m benchmarks.pipelining [--minutes 15] [--slots 1,2,3] [--simulated TIMES_REAL_TIME]

One worker with the real model and the whole pipeline around it; the cluster runs and the model is
loaded. Busy: time in calls of the engine, of the time from the first call to the end of the last.
Slots are the macro chunks in flight. The tail, in which no chunk is left to fill the last batch, is
in all figures. `--simulated` puts in place of the model an engine that sleeps as a GPU of that
speed would compute.
"""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

from benchmarks.place import Measured, cluster, goal, measuring, place, transcribe
from benchmarks.quality import line
from benchmarks.recordings import make_long, media_folder, speech_files
from benchmarks.watched_engines import REAL, SLEEPING
from longform.params import parse_params
from longform.speech.batching import BatchStats

GOAL_BUSY, GOAL_FILL = 0.95, 0.9
CLIP_SEC = 20.0


@dataclass(frozen=True, slots=True)
class Reading:
    """One run with so many macro chunks in flight."""

    slots: int
    run: Measured
    queue: BatchStats

    @property
    def busy_share(self) -> float:
        """Share of the time between the first and the last call that the engine worked."""
        calls = self.run.calls
        return self.run.engine_sec / (calls[-1].ended_unix_sec - calls[0].started_unix_sec)


def queue_stats() -> list[BatchStats]:
    """Return what the engines of a worker have done; runs there."""
    from longform.speech.engines import batch_stats

    return [*batch_stats()]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.pipelining", description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0, help="length of the recording")
    parser.add_argument("--slots", default="1,2,3", help="macro chunks in flight")
    parser.add_argument("--simulated", type=float, help="times real time of a simulated GPU")
    parser.add_argument("--batch-size", type=int, default=8)
    given = parser.parse_args()
    readings = []
    with place("pipelining") as home:
        files = {home / "long.flac": given.minutes * 60, home / "clip.flac": CLIP_SEC}
        for file, seconds in files.items():
            make_long(speech_files(media_folder(), frozenset({"en"})), seconds, file)
        for slots in map(int, given.slots.split(",")):
            readings.append(read(home, slots, given.simulated, given.batch_size))
    report(readings, given.batch_size)


def read(home: Path, slots: int, simulated: float | None, batch_size: int) -> Reading:
    """Run the recording on one worker with so many slots."""
    from distributed import Client

    os.environ["LONGFORM_SLOTS_PER_WORKER"] = str(slots)
    params, runs = parse_params({"batch_size": batch_size}), list[Measured]()
    with cluster(home, 1, SLEEPING if simulated else REAL, simulated or 1.0) as calls:
        transcribe(home / "clip.flac", params, home / "out")
        with measuring(home, calls, runs):
            transcribe(home / "long.flac", params, home / "out")
        with Client(os.environ["LONGFORM_CLUSTER"]) as client:
            [[stats]] = client.run(queue_stats).values()
    return Reading(slots, runs[0], stats)


def report(readings: list[Reading], batch_size: int) -> None:
    """Print the readings and the goals."""
    header = ("macro chunks in flight", "engine busy", "fill of a batch", "calls")
    print(line(*header, "micro chunks", "most in the queue", "bound", "wall s"))
    print("|" + "--:|" * 8)
    for one in readings:
        num_chunks = sum(call.num_chunks for call in one.run.calls)
        row = (one.slots, f"{one.busy_share:.3f}", f"{one.run.fill:.3f}", len(one.run.calls))
        # Each macro chunk has two batches on their way at most.
        bound = 2 * batch_size * one.slots
        print(line(*row, num_chunks, one.queue.most_waiting, bound, f"{one.run.wall_sec:.1f}"))
    several = [one for one in readings if one.slots > 1]
    busy = min((one.busy_share for one in several), default=0.0)
    fill = min((one.run.fill for one in several), default=0.0)
    print()
    print(goal(f"engine busy {GOAL_BUSY}", f"{busy:.3f}", is_met=busy >= GOAL_BUSY))
    what = f"fill {GOAL_FILL} with two or more macro chunks in flight"
    print(goal(what, f"{fill:.3f}", is_met=fill >= GOAL_FILL))


if __name__ == "__main__":
    main()
