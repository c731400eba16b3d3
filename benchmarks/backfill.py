"""A thousand short recordings in one bulk run, some of them broken: is every file accounted for?

`longform reprocess` with a real Prefect server, a real Dask cluster and an engine without a model:
what is measured is everything around the model. It prints what became of the files, the CPU time
of each part, how the memory of each grew, and what the database holds in the end.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.many_files import REPO_ROOT, make_library, write_list
from benchmarks.moments import Moment, Role, Watch
from benchmarks.postgres import postgres
from infra.prefect_api import ServerAddress
from infra.prefect_server import LOG_FILE, ensure_server, read_state, stop_server

MB = 1e6  # bytes
ENGINE = "tests.support.scripted_engine:create"
DATABASE_VARIABLE = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
LOCKED = "database is locked"
TABLES = ("flow_run", "flow_run_state", "task_run", "task_run_state", "events", "log", "artifact")
# Growth is taken from here to the end: before, everything is met for the first time.
SETTLED = 0.3  # of the files
MOST_GROWTH_MB = 30.0  # over the rest of the run
MOST_CPU_SEC = 0.5  # per file, of all parts


@dataclass(frozen=True, slots=True)
class Database:
    """What the server's database holds after the run."""

    rows: Mapping[str, int]
    states: Mapping[str, int]  # flow runs and task runs, by their state
    size_bytes: int


@dataclass(slots=True)
class Outcome:
    """What a run came to."""

    exit_code: int
    wall_sec: float
    faults: Mapping[str, str]
    report: Mapping[str, Any]
    moments: Sequence[Moment] = field(default_factory=list)
    num_locked: int = 0  # lines of the logs that say that the database was locked

    @property
    def wrong(self) -> list[str]:
        """Files that did not end as they should, with what became of them."""
        ended = {Path(each["source"]).name: each["outcome"] for each in self.report["files"]}
        expected = {
            name: "failed" if fault else "transcribed" for name, fault in self.faults.items()
        }
        names = sorted({*ended, *expected})
        return [
            f"{name} ({self.faults.get(name)}): {ended.get(name)}"
            for name in names
            if ended.get(name) != expected.get(name)
        ]


@contextmanager
def server_with(database: str, home: Path) -> Iterator[tuple[ServerAddress, str]]:
    """Start a Prefect server; yield it and the address of its database."""
    with ExitStack() as stack:
        if database == "postgres":
            database = stack.enter_context(postgres(home / "postgres"))
        if database != "sqlite":
            os.environ[DATABASE_VARIABLE] = database
        os.environ["PREFECT_HOME"] = str(home / "no-profile")
        os.environ.pop("PREFECT_API_URL", None)
        stack.callback(stop_server, home)
        address = ensure_server(home)
        url = f"sqlite+aiosqlite:///{address.prefect_home}/prefect.db"
        yield address, url if database == "sqlite" else database


@contextmanager
def scripted_cluster(
    environment: Mapping[str, str], log: Path
) -> Iterator[tuple[str, psutil.Process]]:
    """Start a cluster in a process of its own; yield its address and that process."""
    command = [sys.executable, "-m", "benchmarks.scripted_cluster"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip(), psutil.Process(process.pid)
    finally:
        process.stdin.close()
        process.wait()


def backfill(given: argparse.Namespace, scratch: Path, address: ServerAddress) -> Outcome:
    """Make the files, run the command over them, and watch it."""
    library, output, home = scratch / "library", scratch / "out", scratch / "home"
    for folder in (library, output):
        folder.mkdir()
    faults = make_library(library, given.files, given.fault_share)
    write_list(scratch / "list.jsonl", library, faults)
    environment = os.environ | address.environment()
    environment |= {
        "PYTHONPATH": str(REPO_ROOT),
        "LONGFORM_HOME": str(home),
        "LONGFORM_ENGINE": ENGINE,
        "LONGFORM_SUBFLOWS": str(given.subflows),
        "LONGFORM_WORKERS": str(given.workers),
    }
    with scripted_cluster(environment, scratch / "workers.log") as (scheduler, cluster):
        environment["LONGFORM_CLUSTER"] = scheduler
        command = [sys.executable, "-m", "cli", "reprocess"]
        command += ["--manifest", str(scratch / "list.jsonl"), "-o", str(output)]
        command += ["--files-in-flight", str(given.files_in_flight), "--json", "--quiet"]
        started = time.monotonic()
        with (scratch / "report.json").open("wb") as report, (scratch / "log").open("wb") as log:
            flow = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=report, stderr=log
            )
            parts = roles(psutil.Process(flow.pid), cluster, scratch)
            watch = Watch(parts, lambda: num_ended(output), given.every)
            watch.start()
            flow.wait()
        wall_sec = time.monotonic() - started
        watch.stop()
    text = (scratch / "report.json").read_text()
    found: Mapping[str, Any] = json.loads(text) if text else {"files": []}
    logs = (scratch / "log").read_text() + (scratch / LOG_FILE).read_text(errors="replace")
    return Outcome(flow.returncode, wall_sec, faults, found, watch.moments, logs.count(LOCKED))


def roles(flow: psutil.Process, cluster: psutil.Process, home: Path) -> dict[str, Role]:
    """Return the processes of a run by the part that they play."""
    state = read_state(home)
    assert state is not None
    parts = {"flow": Role(flow), "scheduler": Role(cluster, with_children=False)}
    workers = [each for each in cluster.children() if "spawn_main" in " ".join(each.cmdline())]
    for number, worker in enumerate(workers, 1):
        parts[f"worker {number}"] = Role(worker)
    parts["server"] = Role(psutil.Process(state.pid))
    if (pid_file := home / "postgres" / "data" / "postmaster.pid").exists():
        parts["postgres"] = Role(psutil.Process(int(pid_file.read_text().split()[0])))
    return parts


def num_ended(output: Path) -> int:
    """Return how many files have a transcript, or a note of why there is none."""
    names = (entry.name for entry in os.scandir(output))
    return sum(name.startswith("talk") and name.endswith(".json") for name in names)


async def database_of(url: str) -> Database:
    """Count what the server has kept."""
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine

    size = "select page_count * page_size from pragma_page_count(), pragma_page_size()"
    if url.startswith("postgresql"):
        size = "select pg_database_size(current_database())"
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        rows = {
            name: (await connection.execute(text(f"select count(*) from {name}"))).scalar_one()
            for name in TABLES
        }
        states: Counter[str] = Counter()
        for name in ("flow_run", "task_run"):
            query = f"select state_name, count(*) from {name} group by state_name"
            for state, number in await connection.execute(text(query)):
                states[f"{name} {state}"] = number
        size_bytes = (await connection.execute(text(size))).scalar_one()
    await engine.dispose()
    return Database(rows, states, size_bytes)


def growth_mb(moments: Sequence[Moment], role: str, num_files: int) -> float | None:
    """Return by how much the memory of a part grew once things had settled."""
    sizes = [
        one.private_bytes[role] / MB
        for one in moments
        if role in one.private_bytes and one.num_done >= SETTLED * num_files
    ]
    return sizes[-1] - sizes[0] if len(sizes) > 1 else None


def memory_table(moments: Sequence[Moment]) -> str:
    """Return the private memory of each part when so many files had ended, as markdown."""
    names = [*moments[0].private_bytes]
    lines = [
        f"| files | {' | '.join(f'{name} MB' for name in names)} |",
        "|--:" * (len(names) + 1) + "|",
    ]
    for one in moments[1:]:
        sizes = (f"{one.private_bytes.get(name, 0) / MB:.1f}" for name in names)
        lines.append(f"| {one.num_done} | {' | '.join(sizes)} |")
    return "\n".join(lines)


def cpu_table(moments: Sequence[Moment]) -> tuple[str, float]:
    """Return the CPU seconds of each part per file, as markdown, and their sum.

    From the first moment with files to the last, so that imports and starts are not in it.
    """
    whole = [one for one in moments[1:] if one.cpu_sec.keys() == moments[0].cpu_sec.keys()]
    first, last = whole[0], whole[-1]
    number = last.num_done - first.num_done
    each = {
        name: (last.cpu_sec[name] - first.cpu_sec[name]) / number
        for name in first.cpu_sec
        if name in last.cpu_sec
    }
    lines = ["| part | CPU s per file |", "|---|--:|"]
    lines += [f"| {name} | {value:.3f} |" for name, value in each.items()]
    return "\n".join([*lines, f"| all | {sum(each.values()):.3f} |"]), sum(each.values())


def goals(done: Outcome, database: Database, cpu_sec: float, num_files: int) -> list[str]:
    """Return what was to be reached, and whether it was."""
    # A task that finds a broken file fails; no flow run does.
    good = ("flow_run Completed", "flow_run CompletedWithFailures", "task_run Completed")
    bad_runs = {
        state: number
        for state, number in database.states.items()
        if state not in (*good, "task_run Failed")
    }
    growths = {name: growth_mb(done.moments, name, num_files) for name in ("flow", "scheduler")}
    checks = [
        ("every file accounted for", not done.wrong, f"{len(done.wrong)} wrong {done.wrong[:5]}"),
        ("no run open, crashed or failed", not bad_runs, str(bad_runs)),
        (f'no "{LOCKED}" in a log', done.num_locked == 0, str(done.num_locked)),
        *(
            (
                f"{name}: at most {MOST_GROWTH_MB:.0f} MB more from {SETTLED:.0%} of the files on",
                growth is not None and growth <= MOST_GROWTH_MB,
                "not measured" if growth is None else f"{growth:+.1f} MB",
            )
            for name, growth in growths.items()
        ),
        (f"at most {MOST_CPU_SEC} CPU s per file", cpu_sec <= MOST_CPU_SEC, f"{cpu_sec:.3f}"),
    ]
    return [f"{'met' if is_met else 'missed'}: {what} ({found})" for what, is_met, found in checks]


def main() -> int:
    """Run it and print."""
    parser = argparse.ArgumentParser(prog="make bench NAME=backfill", description=__doc__)
    parser.add_argument("--files", type=int, default=1_000, help="how many recordings")
    parser.add_argument("--fault-share", type=float, default=0.05, help="of them that are broken")
    parser.add_argument(
        "--database", default="sqlite", help="sqlite, postgres (one is started), or an address"
    )
    parser.add_argument("--subflows", action="store_true", help="show each chunk as a flow run")
    parser.add_argument("--workers", type=int, default=1, help="processes that transcribe")
    parser.add_argument("--files-in-flight", type=int, default=4)
    parser.add_argument("--every", type=int, default=100, help="files from one look to the next")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="longform-backfill-") as folder:
        scratch = Path(folder)
        with server_with(given.database, scratch) as (address, url):
            done = backfill(given, scratch, address)
            database = asyncio.run(database_of(url))
        log = (scratch / "log").read_text()
    outcomes = Counter(each["outcome"] for each in done.report["files"])
    sys.stdout.write(
        f"{given.files} files, {given.database}, subflows {'on' if given.subflows else 'off'}: "
        f"{dict(outcomes)}, exit code {done.exit_code}, {done.wall_sec:.0f} s\n\n"
    )
    if len(done.moments) < 3:
        sys.stdout.write(f"too few files to measure anything\n{log[-4_000:]}\n")
        return 1
    costs, cpu_sec = cpu_table(done.moments)
    sys.stdout.write(f"{costs}\n\n{memory_table(done.moments)}\n\n")
    sys.stdout.write(f"database: {database.size_bytes / MB:.1f} MB, rows {dict(database.rows)}\n")
    sys.stdout.write(f"states: {dict(database.states)}\n\n")
    lines = goals(done, database, cpu_sec, given.files)
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if any(line.startswith("missed") for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
