"""Where jobs are killed and resumed: a real server, a real Dask cluster, a real process per run."""

import json
import multiprocessing
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import Client

from infra.cluster import local_cluster
from infra.prefect_api import ServerAddress
from longform.settings import Settings
from tests.chaos import kill_points
from tests.conftest import REPO_ROOT
from tests.support.prefect_reads import ask_server
from tests.support.scripted_engine import SCRIPT_VARIABLE

ENGINE = "tests.support.scripted_engine:create"
PATIENCE_SEC = 600.0
NUM_CHUNKS = 20
NUM_MISSING = 2
FILES_THAT_STAY = ("chunks", "out", "runs")
# Before its note is written, only Prefect's heartbeats tell that a run lost its process.
STEPS_OF_THE_NOTE = 2
OPEN_STATES = ["PENDING", "RUNNING", "CANCELLING"]
VOLATILE = ("processing_duration_sec", "speedup", "run_url", "files")


@dataclass(frozen=True)
class KillPoint:
    """Who dies before which of its persisted steps, and from where the job starts.

    `first` is the first of `NUM_MISSING` chunks that are still to be done, the others lie in the
    chunk store already; None: all of them are to be done.
    """

    role: str
    step: int
    first: int | None

    def __str__(self) -> str:
        of = "the whole job" if self.first is None else f"chunk {self.first}"
        return f"{self.role} at step {self.step} of {of}"


@dataclass(frozen=True)
class Verdict:
    """What came of one kill."""

    point: "KillPoint"
    was_killed: bool
    num_extra: int  # engine calls beyond those of an undisturbed run
    is_same: bool  # the transcript, byte by byte
    leftovers: tuple[str, ...]
    open_runs: tuple[str, ...]
    trouble: str = ""

    @property
    def is_good(self) -> bool:
        """Whether the job survived as it should."""
        is_unknown = self.point.role == "flow" and self.point.step <= STEPS_OF_THE_NOTE
        clean = not (self.leftovers or self.trouble or (self.open_runs and not is_unknown))
        return self.is_same and clean and self.num_extra <= 1


@dataclass(frozen=True)
class Undisturbed:
    """What a job gives, and costs, when nobody dies."""

    files: dict[str, bytes]
    chunks: Path  # its chunk store
    num_calls: int
    steps: dict[str, int]  # persisted steps, by role


@dataclass(frozen=True)
class Arena:
    """The machinery that stays while runs and workers die."""

    base: Path
    media: Path
    chunk_sec: int
    client: Client
    server: ServerAddress
    subflows: bool

    def undisturbed(self, whole: "Undisturbed | None" = None) -> Undisturbed:
        """Run the job once in peace: all of it, or from near its end where it is known."""
        job = self._folder(KillPoint("nothing", 0 if whole is None else 1, None))
        if whole is not None:
            _prepare(job, whole, 0)
        assert self._run(job) == 0, "the undisturbed run failed"
        (in_worker,) = self.client.run(kill_points.steps_of, str(job)).values()
        in_flow = int((self.base / f"steps-{job.name}").read_text())
        steps = {"flow": in_flow, "worker": in_worker}
        assert len(_records(job / "chunks")) >= NUM_CHUNKS, "too few chunks"
        return Undisturbed(_files(job), job / "chunks", self._num_calls(), steps)

    def kill(self, point: KillPoint, whole: Undisturbed) -> Verdict:
        """Kill a process, resume the job where that is needed, and look at what there is."""
        job = self._folder(point)
        expected_calls = whole.num_calls
        if point.first is not None:
            expected_calls = _prepare(job, whole, point.first)
        open_before, trouble = self._open_runs(), ""
        code = self._run(job)
        was_killed = (self.base / f"died-{job.name}").exists()
        if code != 0:
            is_expected = point.role == "flow" and was_killed
            trouble = "" if is_expected else f"the first run ended with {code}"
            if (code := self._run(job)) != 0:
                trouble = f"the second run ended with {code}"
        verdict = Verdict(
            point=point,
            was_killed=was_killed,
            num_extra=self._num_calls() - expected_calls,
            is_same=not trouble and _files(job) == whole.files,
            leftovers=(*_leftovers(job), *_processes(job)),
            open_runs=tuple(sorted(self._open_runs() - open_before)),
            trouble=trouble,
        )
        if verdict.is_good:
            shutil.rmtree(job)
        return verdict

    def _folder(self, point: KillPoint) -> Path:
        first = "whole" if point.first is None else f"{point.first:02}"
        job = self.base / f"kill-{point.role}-{point.step:03}-{first}"
        job.mkdir()
        (self.base / "calls.jsonl").write_text("")
        orders = {"calls_file": str(self.base / "calls.jsonl")}
        (self.base / "script.json").write_text(json.dumps(orders))
        self.client.wait_for_workers(1, PATIENCE_SEC)
        self.client.run(kill_points.watch, "worker")
        return job

    def _num_calls(self) -> int:
        lines = (self.base / "calls.jsonl").read_text().splitlines()
        return sum(len(json.loads(line)) for line in lines)

    def _run(self, job: Path) -> int:
        from tests.chaos import child

        environment = {
            "LONGFORM_HOME": str(job),
            "LONGFORM_CLUSTER": self.client.scheduler.address,
            "LONGFORM_ENGINE": ENGINE,
            "LONGFORM_SLOTS_PER_WORKER": "1",
            "LONGFORM_SUBFLOWS": str(self.subflows),
        }
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([child.__name__])
        arguments = (self.media, job, self.chunk_sec, environment)
        process = context.Process(target=child.run_flow, args=arguments)
        process.start()
        process.join(PATIENCE_SEC)
        if process.exitcode is None:
            process.kill()
            process.join()
            return -1
        return int(process.exitcode)

    def _open_runs(self) -> set[str]:
        wanted = {"flow_runs": {"state": {"type": {"any_": OPEN_STATES}}}}
        found = ask_server(self.server.api_url, "POST", "flow_runs/filter", wanted)
        return {run["id"] for run in found}


def _records(chunks: Path) -> list[Path]:
    """Return the results in a chunk store, in the order of the chunks."""
    found = []
    for path in chunks.glob("??/*.json"):
        payload = json.loads(json.loads(path.read_text())["payload"])
        found.append((payload["start_sample"], path))
    return [path for _, path in sorted(found)]


def _prepare(job: Path, whole: Undisturbed, first: int) -> int:
    """Give a job the results of all chunks but a few; return the engine calls that are left."""
    shutil.copytree(whole.chunks, job / "chunks")
    missing = _records(job / "chunks")[first : first + NUM_MISSING]
    num_micro = 0
    for path in missing:
        payload = json.loads(json.loads(path.read_text())["payload"])
        num_micro += payload["stats"]["num_micro_chunks"]
        path.unlink()
    return num_micro


def _files(job: Path) -> dict[str, bytes]:
    """Return the transcript, without what says when and where it was made."""
    files = {path.name: path.read_bytes() for path in (job / "out").iterdir()}
    for name in [name for name in files if name.endswith(".json")]:
        document: dict[str, Any] = json.loads(files[name])
        for key in VOLATILE:
            document.pop(key, None)
        files[name] = json.dumps(document).encode()
    return files


def _leftovers(job: Path) -> tuple[str, ...]:
    """Return what lies in the folder of a job beside its results."""
    paths = [path for path in job.rglob("*") if path.is_file()]
    return tuple(
        str(path.relative_to(job))
        for path in paths
        if path.relative_to(job).parts[0] not in FILES_THAT_STAY
        or path.name.startswith(".")
        or path.suffix in (".claim", ".tmp", ".partial")
        or "deaths" in path.parts
    )


def _processes(job: Path) -> tuple[str, ...]:
    """Return the processes that name the folder in their command line: decoders."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(f"{job}/" in part for part in process.info["cmdline"] or ()):
            found.append(f"process {process.pid}")
    return tuple(found)


@contextmanager
def open_arena(
    base: Path, media: Path, chunk_sec: int, server: ServerAddress, *, subflows: bool
) -> Iterator[Arena]:
    """Start a cluster of one worker process with the scripted engine."""
    base.mkdir(parents=True, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SCRIPT_VARIABLE, str(base / "script.json"))
        (base / "script.json").write_text("{}")
        for name, value in server.environment().items():
            patch.setenv(name, value)
        patch.setenv("PYTHONPATH", str(REPO_ROOT))
        patch.setenv("PREFECT_LOGGING_LEVEL", "CRITICAL")
        patch.setenv("PREFECT_LOGGING_TO_API_ENABLED", "false")
        settings = Settings(home=base / "cluster", engine=ENGINE, workers=1, slots_per_worker=1)
        with (
            local_cluster(settings) as cluster,
            Client(cluster.scheduler_address, set_as_default=False) as client,
        ):
            client.wait_for_workers(1, PATIENCE_SEC)
            yield Arena(base, media, chunk_sec, client, server, subflows)
