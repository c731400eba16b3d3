"""How long a full rerun takes when every macro chunk comes from the cache.

    python -m benchmarks.cache [--hours 10] [--rounds 3]

The cache is filled without a run: with the plan, and with results as long as real ones, 2.5 words
a second. Then the server runs and no cluster is needed. The rerun is timed from the command to the
prompt, and from start to end of its flow run; what it took from the cache is read from its
artifacts, through the API.
"""

import argparse
import asyncio
import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks.place import goal, place
from benchmarks.prefect_calls import artifacts, found
from benchmarks.quality import line
from benchmarks.recordings import make_long, media_folder, speech_files
from benchmarks.watched_engines import spoken
from longform.audio import SAMPLE_RATE_HZ, Span, to_seconds
from longform.chunking.macro import Split, nominal_boundaries
from longform.params import TranscribeParams
from longform.pipeline.chunk_cache import ChunkStore
from longform.pipeline.planning import Plan, PlannedChunk, open_recording, plan_key
from longform.pipeline.recording_run import RecordingRun, plan_store
from longform.settings import Settings
from longform.speech.engine_choice import choose_engine
from longform.transcript.segment import ChunkResult, ChunkStats, Interval

MICRO_SAMPLES = 30 * SAMPLE_RATE_HZ
GOAL_SEC = 10.0
FIGURE = re.compile(r"^\| (Status|Duration|Macro chunks) +\| (.*?) +\|$", re.MULTILINE)
FILES = "json,srt,vtt,txt,tsv,html"


@dataclass(frozen=True, slots=True)
class Rerun:
    """One run that finds everything in the cache."""

    wall_sec: float  # from the command to the prompt
    flow_sec: float  # from start to end of the flow run
    summary: dict[str, str]  # what its summary artifact says
    num_words: int


def fill(audio: Path, home: Path) -> None:
    """Leave in the cache what a run of the recording would have left."""
    params, settings = TranscribeParams(), Settings()
    recording = asyncio.run(open_recording(str(audio), settings, home))
    engine = choose_engine(params, settings)
    run = RecordingRun("", recording, params, engine, settings.chunk_store_url)
    total = recording.media.num_samples_estimate or 0
    edges = [0, *nominal_boundaries(total, params), total]
    splits = [Split(sample=at, kind="pause", is_silent=True) for at in edges[1:-1]]
    chunks = tuple(
        PlannedChunk(
            index=index,
            start_sample=start,
            end_sample=end,
            open_ended=end == total,
            split=splits[index] if end < total else None,
        )
        for index, (start, end) in enumerate(pairwise(edges))
    )
    plan = Plan(access=recording.media.access, chunks=chunks)
    plan_store(settings.chunk_store_url).put(plan_key(recording, params), plan)
    store = ChunkStore(settings.chunk_store_url)
    for chunk in chunks:
        store.put(said(chunk, run.key(chunk)))


def said(chunk: PlannedChunk, key: str) -> ChunkResult:
    """Return the result of a macro chunk in which somebody talks all the time."""
    edges = [*range(chunk.start_sample, chunk.end_sample, MICRO_SAMPLES), chunk.end_sample]
    place = {"start_sample": chunk.start_sample, "end_sample": chunk.end_sample}
    return ChunkResult(
        key=key,
        index=chunk.index,
        segments=tuple(spoken(Span(start, end)) for start, end in pairwise(edges)),
        coverage=(Interval(**place, kind="speech"),),
        languages={"en": to_seconds(chunk.span.num_samples)},
        peaks=bytes(chunk.span.num_samples // (SAMPLE_RATE_HZ // 10)),
        stats=ChunkStats(num_micro_chunks=len(edges) - 1),
        **place,
    )


def rerun(audio: Path, target: Path) -> Rerun:
    """Run the command once more; look at its run through the API."""
    command = [sys.executable, "-m", "cli", "transcribe", str(audio), "-o", str(target), "-q"]
    started_sec = time.monotonic()
    subprocess.run([*command, "-f", FILES], check=True)
    wall_sec = time.monotonic() - started_sec
    output = json.loads((target / f"{audio.stem}.json").read_text())
    run = output["run_url"].rpartition("/")[2]
    [artifact] = artifacts(run, "transcription-summary")
    [flow_run] = found("flow_runs", flow_runs={"id": {"any_": [run]}})
    return Rerun(
        wall_sec=wall_sec,
        flow_sec=flow_run["total_run_time"],
        summary=dict(FIGURE.findall(artifact["data"])),
        num_words=len(output["words"]),
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
        fill(audio, home)
        reruns = [rerun(audio, home / f"out-{number}") for number in range(given.rounds)]
    report(reruns, given.hours)


def report(reruns: list[Rerun], hours: float) -> None:
    """Print the reruns and the goals."""
    print(line("rerun", "command s", "of it flow s", "macro chunks", "status", "words"))
    print("|--:|--:|--:|---|---|--:|")
    for number, one in enumerate(reruns, 1):
        chunks, status = one.summary["Macro chunks"], one.summary["Status"]
        times = (f"{one.wall_sec:.1f}", f"{one.flow_sec:.1f}")
        print(line(number, *times, chunks, status, one.num_words))
    expected = f"{hours * 12:.0f}, {hours * 12:.0f} from the cache"
    is_whole = all(
        one.summary["Macro chunks"] == expected
        and one.summary["Duration"] == f"{hours * 3600:.1f} s"
        for one in reruns
    )
    slowest = max(one.flow_sec for one in reruns)
    print()
    print(goal(f"{GOAL_SEC:.0f} s of the flow", f"{slowest:.1f}", is_met=slowest <= GOAL_SEC))
    print(goal("in the artifacts", expected, is_met=is_whole))


if __name__ == "__main__":
    main()
