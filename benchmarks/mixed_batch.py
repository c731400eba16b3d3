"""A bulk run of mixed lengths on workers whose GPUs are simulated: do all work until the end?

    python -m benchmarks.mixed_batch [--scale 0.25] [--workers 8] [--times-real-time 20]

One run of the flow `reprocess` over 128 files of 20 s to 10 h, in an order that says nothing; their
lengths are scaled down by default. The longest may be put first or last. Beside it what
`benchmarks.batch_order` makes of the same batch.
"""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from benchmarks.batch_order import SERVED, STARTED, File, Simulation, arrangements, mixed_lengths
from benchmarks.place import Measured, cluster, goal, measuring, place, transcribe
from benchmarks.quality import line
from benchmarks.recordings import make_long, media_folder, speech_files
from benchmarks.watched_engines import SLEEPING
from longform.params import TranscribeParams, parse_params

MACRO_SEC = 300.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.mixed_batch", description=__doc__)
    parser.add_argument("--scale", type=float, default=0.25, help="of the lengths")
    parser.add_argument("--short-files", type=int, default=100)
    parser.add_argument("--longest", default="anywhere", choices=("first", "last", "anywhere"))
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--times-real-time", type=float, default=20.0, help="of one GPU")
    parser.add_argument("--files-in-flight", type=int)
    given = parser.parse_args()
    lengths = [
        length * given.scale
        for length in arrangements(mixed_lengths(given.short_files))[given.longest]
    ]
    # Guards and searches do not get shorter with the files: macro chunks stay as they are.
    params = parse_params({"chunking": "silence", "macro_chunk_size_sec": MACRO_SEC})
    with place("batch") as home:
        files = [home / f"{number:03}.wav" for number in range(len(lengths))]
        make_files(home, files, lengths)
        run = read(home, files, given, params)
    report(run, lengths, given)


def make_files(home: Path, files: list[Path], lengths: list[float]) -> None:
    """Write recordings of these lengths."""
    speech = speech_files(media_folder(), frozenset({"en"}))
    make_long(speech, 20.0, home / "clip.wav")
    for file, length in zip(files, lengths, strict=True):
        make_long(speech, length, file)


def read(
    home: Path, files: list[Path], given: argparse.Namespace, params: TranscribeParams
) -> Measured:
    """Run the flow over the files."""
    runs: list[Measured] = []
    with cluster(home, given.workers, SLEEPING, given.times_real_time) as calls:
        transcribe(home / "clip.wav", params, home / "first")
        from flows.reprocess import reprocess

        sources = tuple(map(str, files))
        with measuring(home, calls, runs):
            flow_run: Any = reprocess(
                sources=sources,
                params=params,
                output_dir=str(home / "out"),
                output_formats=("json",),
                files_in_flight=given.files_in_flight,
                use_cache=False,
            )
            done = asyncio.run(flow_run)
    if done.count("transcribed") != len(files):
        raise SystemExit("not every file was transcribed")
    return runs[0]


def report(run: Measured, lengths: list[float], given: argparse.Namespace) -> None:
    """Print the run, the simulation and the goal."""
    ends = [calls[-1].ended_unix_sec for calls in run.by_worker().values()]
    last_to_first_sec = max(ends) - min(ends)
    chunk_sec = MACRO_SEC / given.times_real_time
    print(line("", "wall s", "workers busy", "last worker to end after the first s", "CPU busy"))
    print("|---|--:|--:|--:|--:|")
    busy = run.engine_sec / (given.workers * run.wall_sec)
    row = (f"{run.wall_sec:.0f}", f"{busy:.2f}", f"{last_to_first_sec:.1f}")
    print(line("measured", *row, f"{run.cpu_share:.2f}"))
    for in_flight in sorted({given.files_in_flight or max(4, 2 * given.workers), 4}):
        for served in ("earlier first", "longest first", "shortest first"):
            simulated = Simulation(
                [File(number, length) for number, length in enumerate(lengths)],
                given.workers,
                given.times_real_time,
                in_flight,
                STARTED["as listed"],
                SERVED[served],
            )
            wall_sec = simulated.run()
            busy = simulated.busy_sec / (wall_sec * given.workers)
            idle = wall_sec - simulated.idle_from_sec
            name = f"simulated: {served}, {in_flight} files open"
            print(line(name, f"{wall_sec:.0f}", f"{busy:.2f}", f"{idle:.1f}", "-"))
    what = f"all workers at work to within one macro chunk ({chunk_sec:.0f} s) of the end"
    print(f"\n{goal(what, f'{last_to_first_sec:.1f} s', is_met=last_to_first_sec <= chunk_sec)}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
