"""What the machinery around the engine costs: CPU and wall time for each macro chunk, by role.

    python -m benchmarks.orchestration [--chunks 60,300] [--only subflows,tasks] [--access ...]

The engine answers at once with as much text as a real one (`costless_engine`). A macro chunk is
a sixth of its usual length, 50 s, and so are its micro chunks, 5 s: it has as many of them, as
many words and as many records as one of 300 s, and little audio to decode. Every role is a
process of its own, and each ffmpeg, the child of a role, is counted apart: that is decoding.

Two lengths give a line: its slope is what one more chunk costs, the rest is starting up. The
server counts what it is asked, and its database is counted before and after.
"""

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

import psutil

from benchmarks.counting_server import COUNTS_PATH
from benchmarks.recordings import REPO_ROOT, make_long, media_folder, speech_files
from benchmarks.roles import DECODING, RoleCost, RoleWatch
from infra.prefect_server import ensure_server, read_state, start_process, stop_server

CHUNK_SEC = 50.0  # of audio
USUAL_CHUNK_SEC = 300.0  # which such a chunk stands for
PARAMS = {
    "macro_chunk_size_sec": CHUNK_SEC,
    "micro_chunk_size_sec": 5.0,
    "chunking": "silence",  # voice activity costs by the second of audio, not by the chunk
}
WAYS = {"subflows": True, "tasks": False}
# Containers in which samples lie as they are, so that little CPU goes into decoding them.
FILES = {"sequential": "long.caf", "windowed": "long.wav"}
ROLES = ("flow", "workers", "scheduler", "server")
MOST_CPU_SEC = {"subflows": 0.6, "tasks": 0.4}  # goals, for each chunk, without decoding
LEAST_CHUNKS_PER_SEC = 2.0  # goal; on two cores
LINEAR_SHARE = 1.15  # a long run's chunk may cost so much of a short one's
RUN_TIMEOUT_SEC = 3_600
LOG_TAIL_CHARS = 3_000
MB = 1e6  # bytes


@dataclass(frozen=True, slots=True)
class Run:
    """One measured run."""

    way: str
    access: str
    num_chunks: int
    wall_sec: float
    roles: dict[str, RoleCost]
    calls: dict[str, int]
    rows: dict[str, int] = field(default_factory=dict)
    database_bytes: int = 0

    @property
    def cpu_sec(self) -> float:
        """CPU seconds of all roles, without decoding."""
        return sum(cost.cpu_sec for role, cost in self.roles.items() if role != DECODING)


class Bench:
    """A server that counts and a cluster, for several runs."""

    def __init__(self, scratch: Path, workers: int, slots: int) -> None:
        self._scratch = scratch
        self._home = scratch / "home"
        self._home.mkdir()
        self._runs = 0
        self._environment = os.environ | {
            "LONGFORM_HOME": str(self._home),
            "LONGFORM_ENGINE": "benchmarks.costless_engine:create",
            "LONGFORM_WORKERS": str(workers),
            "LONGFORM_SLOTS_PER_WORKER": str(slots),
            "PYTHONPATH": str(REPO_ROOT),
            # As the command sets them: the API gets every record, the terminal none.
            "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
            "PREFECT_LOGGING_ROOT_LEVEL": "CRITICAL",
        }
        os.environ["PREFECT_HOME"] = str(scratch / "no-profile")
        os.environ.pop("PREFECT_API_URL", None)
        start_process(self._home, "benchmarks.counting_server:create_app")
        self._server = ensure_server(self._home)
        self._environment |= self._server.environment()

    def close(self) -> None:
        """End the server."""
        stop_server(self._home)

    def run(self, way: str, access: str, num_chunks: int) -> Run:
        """Transcribe a recording of so many chunks, with nothing in the cache."""
        audio = self._audio(access, num_chunks)
        self._runs += 1
        with self._cluster() as (address, cluster):
            environment = self._environment | {
                "LONGFORM_CLUSTER": address,
                "LONGFORM_SUBFLOWS": str(WAYS[way]),
                "LONGFORM_CHUNK_STORE": str(self._scratch / f"chunks-{self._runs}"),
            }
            self._take_calls()
            rows = self._rows()
            wall_sec, roles = self._measure(audio, environment, cluster)
        now = self._rows()
        return Run(
            way=way,
            access=access,
            num_chunks=num_chunks,
            wall_sec=wall_sec,
            roles=roles,
            calls=self._take_calls(),
            rows={table: now[table] - rows.get(table, 0) for table in sorted(now)},
            database_bytes=now["bytes"] - rows["bytes"],
        )

    def _measure(
        self, audio: Path, environment: Mapping[str, str], cluster: psutil.Process
    ) -> tuple[float, dict[str, RoleCost]]:
        state = read_state(self._home)
        server = state.process() if state else None
        assert server is not None, "the server has just answered"
        log = self._scratch / "log"
        flow: list[psutil.Process] = []
        roles = {
            "flow": lambda: flow,
            "workers": lambda: list(workers_of(cluster)),
            "scheduler": lambda: [cluster],
            "server": lambda: [server],
        }
        with RoleWatch(roles) as watch, log.open("wb") as output:
            started = time.monotonic()
            process = subprocess.Popen(
                self._command(audio), env=environment, stdout=output, stderr=output, cwd=REPO_ROOT
            )
            flow.append(psutil.Process(process.pid))
            try:
                exit_code = process.wait(RUN_TIMEOUT_SEC)
            finally:
                process.kill()  # of no effect where it has ended
            wall_sec = time.monotonic() - started
        if exit_code:
            raise SystemExit(f"the run failed:\n{log.read_text()[-LOG_TAIL_CHARS:]}")
        return wall_sec, watch.costs()

    def _command(self, audio: Path) -> list[str]:
        given = [word for item in PARAMS.items() for word in option(*item)]
        place = ["-o", str(self._scratch / "out"), "-f", "json", "-q"]
        return [sys.executable, "-m", "cli", "transcribe", str(audio), *place, *given]

    def _audio(self, access: str, num_chunks: int) -> Path:
        target = self._scratch / f"{num_chunks}-{FILES[access]}"
        if not target.exists():
            speech = speech_files(media_folder(), frozenset({"en"}))
            make_long(speech, num_chunks * CHUNK_SEC, target)
        return target

    @contextmanager
    def _cluster(self) -> Iterator[tuple[str, psutil.Process]]:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.cluster_process"],
            env=self._environment,
            cwd=REPO_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield process.stdout.readline().strip(), psutil.Process(process.pid)
        finally:
            process.stdin.close()
            process.wait()

    def _take_calls(self) -> dict[str, int]:
        with urllib.request.urlopen(self._server.ui_url + COUNTS_PATH) as answer:
            counts: dict[str, int] = json.load(answer)
        return counts

    def _rows(self) -> dict[str, int]:
        path = self._home / "prefect" / "prefect.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            names = database.execute("select name from sqlite_master where type = 'table'")
            counts = {
                name: database.execute(f'select count(*) from "{name}"').fetchone()[0]
                for (name,) in names.fetchall()
            }
            kinds = database.execute("select event, count(*) from events group by event")
            counts |= {f"events.{name}": many for name, many in kinds.fetchall()}
            size = "select page_count * page_size from pragma_page_count(), pragma_page_size()"
            return counts | {"bytes": database.execute(size).fetchone()[0]}


def workers_of(cluster: psutil.Process) -> Iterator[psutil.Process]:
    """Yield the workers of a cluster: its nannies, in its own process, start them."""
    for child in cluster.children():
        if "spawn_main" in " ".join(child.cmdline()):
            yield child


def option(name: str, value: object) -> tuple[str, str]:
    """Return a parameter as an option of the command."""
    return f"--{name.replace('_', '-')}", str(value)


@dataclass(frozen=True, slots=True)
class Slope:
    """What one more chunk costs, from a short and a long run of the same kind."""

    short: Run
    long: Run

    def per_chunk(self, short: float, long: float) -> float:
        """Return the slope between two figures of the runs."""
        return (long - short) / (self.long.num_chunks - self.short.num_chunks)

    def cpu_sec(self, role: str) -> float:
        """Return the CPU seconds of a role for one more chunk."""
        return self.per_chunk(self.short.roles[role].cpu_sec, self.long.roles[role].cpu_sec)

    @property
    def all_cpu_sec(self) -> float:
        """CPU seconds of all roles for one more chunk, without decoding."""
        return self.per_chunk(self.short.cpu_sec, self.long.cpu_sec)

    @property
    def wall_sec(self) -> float:
        """Wall seconds for one more chunk."""
        return self.per_chunk(self.short.wall_sec, self.long.wall_sec)

    def growth_kb(self, role: str) -> float:
        """Return by how much the memory of a role grows for one more chunk."""
        short, long = self.short.roles[role], self.long.roles[role]
        return self.per_chunk(short.peak_bytes, long.peak_bytes) / 1e3

    def counts(self, kind: str) -> dict[str, float]:
        """Return how many more there are of each thing that was counted, for one more chunk."""
        short, long = getattr(self.short, kind), getattr(self.long, kind)
        found = {name: self.per_chunk(short.get(name, 0), many) for name, many in long.items()}
        return {name: round(many, 2) for name, many in found.items() if abs(many) >= 0.05}


def cpu_table(runs: Sequence[Run]) -> Iterator[str]:
    """Yield what every run took in all."""
    yield "| run | chunks | wall s | " + " | ".join(f"{role} CPU s" for role in (*ROLES, DECODING))
    yield "|---|" + "--:|" * (3 + len(ROLES))
    for run in runs:
        cells = [f"{run.roles[role].cpu_sec:.1f}" for role in (*ROLES, DECODING)]
        yield f"| {run.way}, {run.access} | {run.num_chunks} | {run.wall_sec:.1f} | " + " | ".join(
            cells
        )


def slope_table(slopes: Sequence[Slope]) -> Iterator[str]:
    """Yield what one more chunk costs, and how much memory stays with it."""
    yield (
        "| one more chunk | wall s | CPU s | "
        + " | ".join(f"of it {role}" for role in ROLES)
        + " | decoding | "
        + " | ".join(f"{role} kB" for role in ROLES)
        + " |"
    )
    yield "|---|" + "--:|" * (3 + 2 * len(ROLES))
    for slope in slopes:
        cells = [f"{slope.wall_sec:.3f}", f"{slope.all_cpu_sec:.3f}"]
        cells += [f"{slope.cpu_sec(role):.3f}" for role in (*ROLES, DECODING)]
        cells += [f"{slope.growth_kb(role):.0f}" for role in ROLES]
        yield f"| {slope.long.way}, {slope.long.access} | " + " | ".join(cells) + " |"


def count_lines(slope: Slope) -> Iterator[str]:
    """Yield what the server was asked and what its database holds, for one more chunk."""
    yield f"\n{slope.long.way}, {slope.long.access}, for one more chunk:"
    for kind in ("calls", "rows"):
        found = slope.counts(kind)
        shown = ", ".join(f"{name} {many}" for name, many in found.items())
        yield f"- {kind}: {shown}"
    grown = slope.per_chunk(slope.short.database_bytes, slope.long.database_bytes)
    yield f"- database: {grown / 1e3:.1f} kB"


def goal_lines(slope: Slope) -> Iterator[str]:
    """Yield the goals and whether they were met."""
    kind, per_sec = f"{slope.long.way}, {slope.long.access}", 1 / slope.wall_sec
    goals = {
        f"CPU s for a chunk <= {MOST_CPU_SEC[slope.long.way]}": (
            slope.all_cpu_sec <= MOST_CPU_SEC[slope.long.way],
            f"{slope.all_cpu_sec:.3f}",
        ),
        f"chunks/s >= {LEAST_CHUNKS_PER_SEC}": (
            per_sec >= LEAST_CHUNKS_PER_SEC,
            f"{per_sec:.2f} ({per_sec * USUAL_CHUNK_SEC:.0f} x real time)",
        ),
    }
    for goal, (is_met, found) in goals.items():
        yield f"{kind}: {goal}: {'met' if is_met else 'missed'}: {found}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.orchestration", description=__doc__)
    parser.add_argument("--chunks", default="60,300", help="numbers of chunks, from few to many")
    parser.add_argument("--only", default=",".join(WAYS), help="subflows, tasks")
    parser.add_argument("--access", default=",".join(FILES), help="sequential, windowed")
    parser.add_argument("--workers", type=int, default=1, help="worker processes")
    parser.add_argument("--slots", type=int, default=2, help="chunks at a time in each")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    given = parser.parse_args()
    lengths = sorted(int(number) for number in given.chunks.split(","))
    runs: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="longform-orchestration-") as scratch:
        bench = Bench(Path(scratch), given.workers, given.slots)
        try:
            for way in given.only.split(","):
                for access in given.access.split(","):
                    for num_chunks in lengths:
                        runs.append(bench.run(way, access, num_chunks))
                        sys.stderr.write(
                            f"{way} {access} {num_chunks}: {runs[-1].wall_sec:.1f} s\n"
                        )
        finally:
            bench.close()
    print("\n".join(cpu_table(runs)))
    pairs = list(slopes(runs))
    print("\n" + "\n".join(slope_table(pairs)))
    for slope in pairs:
        print("\n".join(count_lines(slope)))
    print()
    for slope in pairs:
        print("\n".join(goal_lines(slope)))
    if given.json:
        given.json.write_text(json.dumps([asdict(run) for run in runs], indent=2) + "\n")


def slopes(runs: Sequence[Run]) -> Iterator[Slope]:
    """Yield every pair of neighbouring lengths of the same kind of run."""
    for short, long in pairwise(runs):
        if (short.way, short.access) == (long.way, long.access):
            yield Slope(short, long)


if __name__ == "__main__":
    main()
