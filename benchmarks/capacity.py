"""What a night or an archive takes: a model of time, traffic and records, fed with measurements.

    python -m benchmarks.capacity [--audio-hours 1000000 --gpus 64 ...]

A chunk is 300 s of audio. The constants are those that `benchmarks.orchestration` printed; the
table in docs/performance.md says on what. Nothing here measures anything.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil

CHUNK_SEC = 300.0
HOUR_SEC = 3_600.0
NIGHT_SEC = 10 * HOUR_SEC
GB = 1e9  # bytes
SOURCE_BYTES_PER_SEC = 8_000  # of audio: 64 kbit/s, usual for speech
PCM_BYTES_PER_SEC = 32_000  # 16 kHz, 16 bits, mono: what a sequential pass puts into the work store
RECORD_BYTES = 130_000  # a chunk's result in the chunk store, 790 words
OUTPUT_BYTES = 235_000  # of the JSON of a transcript, for each chunk
# Reads, writes and removals in the chunk store for a new chunk, claims included: 3 looks by the
# flow before it is sent and 1 behind, 2 looks, the claim, the record and their ends by the worker.
STORE_CALLS = 12
SCHEDULER_BYTES = 1_000  # that stay in a Dask scheduler for each chunk
CONNECTIONS_PER_READER = 3  # to the host of a recording


@dataclass(frozen=True, slots=True)
class Way:
    """What one chunk costs around the engine. CPU in seconds; counts and bytes on the server."""

    name: str
    flow_cpu_sec: float
    worker_cpu_sec: float
    scheduler_cpu_sec: float
    server_cpu_sec: float
    calls: float
    messages: float
    rows: float
    database_bytes: float

    @property
    def cpu_sec(self) -> float:
        """CPU seconds of all roles."""
        workers = self.worker_cpu_sec + self.scheduler_cpu_sec
        return self.flow_cpu_sec + workers + self.server_cpu_sec


SUBFLOWS = Way("subflows", 0.12, 0.13, 0.02, 0.17, 8.3, 7.1, 61, 75_000)
TASKS = Way("tasks", 0.10, 0.08, 0.01, 0.01, 0.5, 3.1, 17, 21_000)
WAYS = {way.name: way for way in (SUBFLOWS, TASKS)}


@dataclass(frozen=True, slots=True)
class Fleet:
    """What there is to work with.

    Attributes:
        workers: processes with an engine each: GPUs, as a rule.
        chunk_work_sec: what an engine takes for one chunk.
        flows: flow runs at a time, each a process, on recordings of their own.
        cores: that everything around the engines shares; None: each role has its own.
        audio_cpu_sec: CPU seconds of decoding and cutting a chunk, where cores are shared.
        startup_sec: until the first chunk is sent, with a server that is up.
    """

    workers: int
    chunk_work_sec: float
    flows: int = 1
    cores: float | None = None
    audio_cpu_sec: float = 0.0
    startup_sec: float = 15.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How many chunks a second each part of a system can take."""

    engines: float
    flows: float
    server: float
    machine: float

    @property
    def slowest(self) -> str:
        """The part that all wait for."""
        paces = {name: getattr(self, name) for name in ("engines", "flows", "server", "machine")}
        return min(paces, key=lambda name: paces[name])

    @property
    def chunks_per_sec(self) -> float:
        """What comes through."""
        return min(self.engines, self.flows, self.server, self.machine)


def pace(fleet: Fleet, way: Way) -> Pace:
    """Return what each part can take. A flow and the server are one Python process: one core."""
    engines = fleet.workers / fleet.chunk_work_sec if fleet.chunk_work_sec else float("inf")
    chunk_cpu_sec = way.cpu_sec + fleet.audio_cpu_sec
    machine = fleet.cores / chunk_cpu_sec if fleet.cores is not None else float("inf")
    return Pace(engines, fleet.flows / way.flow_cpu_sec, 1 / way.server_cpu_sec, machine)


def wall_sec(num_chunks: int, fleet: Fleet, way: Way) -> float:
    """Return how long so many chunks take, from the command to the last result.

    Start-up, then the slowest part; engines work in rounds, since a chunk is not divided.
    """
    rounds_sec = ceil(num_chunks / fleet.workers) * fleet.chunk_work_sec
    found = pace(fleet, way)
    others = min(found.flows, found.server, found.machine)
    return fleet.startup_sec + max(rounds_sec, num_chunks / others)


@dataclass(frozen=True, slots=True)
class Demand:
    """What so much audio asks of everything around the engines."""

    num_chunks: int
    calls: float
    messages: float
    rows: float
    database_bytes: float
    source_bytes: float
    work_bytes: float
    record_bytes: float
    output_bytes: float
    store_calls: float
    cpu_hours: float


def demand(audio_hours: float, way: Way) -> Demand:
    """Return what `audio_hours` ask for, in chunks of the usual length."""
    audio_sec = audio_hours * HOUR_SEC
    chunks = ceil(audio_sec / CHUNK_SEC)
    return Demand(
        num_chunks=chunks,
        calls=chunks * way.calls,
        messages=chunks * way.messages,
        rows=chunks * way.rows,
        database_bytes=chunks * way.database_bytes,
        source_bytes=audio_sec * SOURCE_BYTES_PER_SEC,
        work_bytes=audio_sec * PCM_BYTES_PER_SEC,
        record_bytes=chunks * RECORD_BYTES,
        output_bytes=chunks * OUTPUT_BYTES,
        store_calls=chunks * STORE_CALLS,
        cpu_hours=chunks * way.cpu_sec / HOUR_SEC,
    )


def workers_for(audio_hours: float, within_sec: float, fleet: Fleet) -> int:
    """Return how many engines do so much audio in that time, if nothing else holds them up."""
    chunks = ceil(audio_hours * HOUR_SEC / CHUNK_SEC)
    return ceil(chunks * fleet.chunk_work_sec / (within_sec - fleet.startup_sec))


def table(audio_hours: float, fleet: Fleet) -> Iterator[str]:
    """Yield what an amount of audio takes, as markdown, one column for each way."""
    names = list(WAYS)
    title = f"{audio_hours:,.0f} h, {fleet.workers} engines, {fleet.flows} flows"
    yield f"| {title} | {' | '.join(names)} |"
    yield "|---|" + "--:|" * len(names)
    wants = {name: demand(audio_hours, way) for name, way in WAYS.items()}
    paces = {name: pace(fleet, way) for name, way in WAYS.items()}
    walls = {name: wall_sec(wants[name].num_chunks, fleet, way) for name, way in WAYS.items()}
    rows = {
        "chunks": [f"{wants[name].num_chunks:,}" for name in names],
        "hours": [f"{walls[name] / HOUR_SEC:,.1f}" for name in names],
        "waits for": [paces[name].slowest for name in names],
        "most chunks/s of the server": [f"{paces[name].server:.1f}" for name in names],
        "API calls": [f"{wants[name].calls:,.0f}" for name in names],
        "websocket messages": [f"{wants[name].messages:,.0f}" for name in names],
        "database rows": [f"{wants[name].rows:,.0f}" for name in names],
        "database GB": [f"{wants[name].database_bytes / GB:,.1f}" for name in names],
        "fetched GB": [f"{wants[name].source_bytes / GB:,.0f}" for name in names],
        "work store GB, sequential": [f"{wants[name].work_bytes / GB:,.0f}" for name in names],
        "chunk store GB": [f"{wants[name].record_bytes / GB:,.1f}" for name in names],
        "chunk store calls": [f"{wants[name].store_calls:,.0f}" for name in names],
        "transcripts GB (JSON)": [f"{wants[name].output_bytes / GB:,.1f}" for name in names],
        "CPU hours around the engines": [f"{wants[name].cpu_hours:,.1f}" for name in names],
    }
    for label, cells in rows.items():
        yield f"| {label} | {' | '.join(cells)} |"


def scale_out_table(num_chunks: int, fleet: Fleet, way: Way) -> Iterator[str]:
    """Yield what the model says for 1 to 16 workers, with a column for what was measured."""
    yield "| workers | model: wall s | times faster | waits for | measured: wall s |"
    yield "|--:|--:|--:|---|--:|"
    alone_sec = 0.0
    for workers in (1, 2, 4, 8, 16):
        one = replace(fleet, workers=workers)
        took_sec = wall_sec(num_chunks, one, way)
        alone_sec = alone_sec or took_sec
        slowest = pace(one, way).slowest
        yield f"| {workers} | {took_sec:.0f} | {alone_sec / took_sec:.1f} | {slowest} | |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="benchmarks.capacity", description=__doc__)
    parser.add_argument("--audio-hours", type=float, help="instead of the two amounts")
    parser.add_argument("--gpus", type=int, default=8, help="engines")
    parser.add_argument("--flows", type=int, default=1, help="flow runs at a time")
    parser.add_argument(
        "--times-real-time", type=float, default=100.0, help="of one engine; measure yours"
    )
    parser.add_argument("--startup-sec", type=float, default=15.0)
    parser.add_argument("--sleep-sec", type=float, default=10.0, help="of a chunk, to scale out")
    parser.add_argument("--chunks", type=int, default=64, help="to scale out")
    parser.add_argument("--audio-cpu-sec", type=float, default=2.0, help="of a chunk, likewise")
    parser.add_argument("--cores", type=float, default=2.0, help="to scale out")
    given = parser.parse_args()
    work_sec = CHUNK_SEC / given.times_real_time
    fleet = Fleet(given.gpus, work_sec, given.flows, startup_sec=given.startup_sec)
    if given.audio_hours:
        print("\n".join(table(given.audio_hours, fleet)))
    else:
        print("\n".join(table(1_000, fleet)))
        needed = workers_for(1_000, NIGHT_SEC, fleet)
        print(f"\n1,000 h in a night of 10 h: {needed} engines\n")
        print("\n".join(table(1_000_000, Fleet(64, work_sec, 16))))
    sleeping = Fleet(
        1, given.sleep_sec, given.flows, given.cores, given.audio_cpu_sec, given.startup_sec
    )
    print(f"\n{given.chunks} chunks of {given.sleep_sec:g} s on {given.cores:g} cores:\n")
    print("\n".join(scale_out_table(given.chunks, sleeping, SUBFLOWS)))


if __name__ == "__main__":
    main()
