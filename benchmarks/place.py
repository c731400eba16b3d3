"""Where a benchmark runs: a folder, a server and a cluster of its own, and the flow in it.

The server runs before anything is measured. Nothing here imports Prefect before it does.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks.watched_engines import CALLS_VARIABLE, SPEED_VARIABLE, EngineCall, read_calls
from infra.prefect_server import ensure_server, read_state, stop_server
from longform.params import TranscribeParams
from longform.settings import Settings

if TYPE_CHECKING:
    from longform.transcript.output import TranscribeOutput


def goal(what: str, reached: str, *, is_met: bool) -> str:
    """Return the line that says whether a goal is met."""
    return f"goal: {what}: {'met' if is_met else 'missed'} ({reached})"


@contextmanager
def place(name: str) -> Iterator[Path]:
    """Give this process and its children a temporary home with a server that runs."""
    with tempfile.TemporaryDirectory(prefix=f"longform-{name}-") as folder:
        home = Path(folder)
        os.environ |= {"LONGFORM_HOME": folder, "PREFECT_HOME": str(home / "prefect")}
        os.environ |= {"PREFECT_LOGGING_ROOT_LEVEL": "CRITICAL"}
        os.environ |= {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL"}
        os.environ.pop("PREFECT_API_URL", None)
        ensure_server(home).apply()
        try:
            yield home
        finally:
            stop_server(home)


@contextmanager
def cluster(
    home: Path, num_workers: int, engine: str, times_real_time: float = 1.0
) -> Iterator[Path]:
    """Open a local cluster that runs in this process's environment use; yield its calls' folder."""
    from infra.cluster import local_cluster

    calls = home / f"calls-{time.monotonic_ns()}"
    calls.mkdir()
    os.environ |= {CALLS_VARIABLE: str(calls), SPEED_VARIABLE: str(times_real_time)}
    os.environ |= {"LONGFORM_ENGINE": engine, "LONGFORM_CLUSTER": "local"}
    with local_cluster(Settings(workers=num_workers)) as opened:
        os.environ["LONGFORM_CLUSTER"] = opened.scheduler_address
        try:
            with opened.get_client() as client:
                client.wait_for_workers(num_workers, 120)
            yield calls
        finally:
            os.environ["LONGFORM_CLUSTER"] = "local"


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run took: of the wall, of the CPUs, and in the engines."""

    began_unix_sec: float
    wall_sec: float
    cpu_sec: float  # of the run's processes, the server and each ffmpeg
    calls: tuple[EngineCall, ...] = field(repr=False)

    @property
    def cpu_share(self) -> float:
        """Share of this machine's CPU time that was used."""
        return self.cpu_sec / (self.wall_sec * (os.cpu_count() or 1))

    @property
    def engine_sec(self) -> float:
        """Time in calls of the engines, over all workers."""
        return sum(call.duration_sec for call in self.calls)

    @property
    def fill(self) -> float:
        """Micro chunks over places in the batches that were sent."""
        places = sum(call.batch_size for call in self.calls)
        return sum(call.num_chunks for call in self.calls) / places if places else 0.0

    def by_worker(self) -> dict[int, list[EngineCall]]:
        """Return the calls of each worker process."""
        ordered = sorted(self.calls, key=lambda call: (call.pid, call.started_unix_sec))
        return {pid: [*calls] for pid, calls in groupby(ordered, lambda call: call.pid)}


@contextmanager
def measuring(home: Path, calls: Path, into: list[Measured]) -> Iterator[None]:
    """Measure what runs inside, and put it into the list."""
    known = set(read_calls(calls))
    began_sec, started_sec, cpu_before = time.time(), time.monotonic(), _cpu_sec(home)
    yield
    wall_sec = time.monotonic() - started_sec
    cpu_sec = _cpu_sec(home) - cpu_before
    made = tuple(call for call in read_calls(calls) if call not in known)
    into.append(Measured(began_sec, wall_sec, cpu_sec, made))


def _cpu_sec(home: Path) -> float:
    """Return what this process, its children and the server have used; ended ffmpegs count."""
    this, server = psutil.Process(), read_state(home)
    known = [this, *this.children(recursive=True), server.process() if server else None]
    return sum(sum(process.cpu_times()[:4]) for process in known if process is not None)


def transcribe(
    audio: Path,
    params: TranscribeParams,
    target: Path,
    *,
    formats: Sequence[str] = ("json",),
    use_cache: bool = False,
) -> "TranscribeOutput":
    """Run the flow in this process, on the cluster that is open."""
    from flows.transcribe import transcribe as flow

    run: Any = flow(
        str(audio),
        params,
        output_dir=str(target),
        output_formats=tuple(formats),
        use_cache=use_cache,
    )
    output: TranscribeOutput = asyncio.run(run)
    return output
