"""What is deployed, driven as an operator does: a real server, a real worker, real commands."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psutil
import pytest

from infra.prefect_api import ServerAddress
from longform.media.decode.ffmpeg_args import find_ffmpeg
from tests.conftest import REPO_ROOT, WELCOME
from tests.flows.conftest import Stage
from tests.support.prefect_reads import ask_server
from tests.support.webhook_receiver import Receiver, webhook_receiver

pytestmark = pytest.mark.server

POOL = "longform-local"
ZONE = "Europe/Berlin"
KEY = "whsec_" + "A" * 43 + "="
PATIENCE_SEC = 900.0  # for what takes half a minute on a machine that is not busy
STOP_TIMEOUT_SEC = 30.0
TERMINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def wait_until(condition: Callable[[], Any], what: str, patience_sec: float = PATIENCE_SEC) -> Any:
    """Wait for something that must come, and return it."""
    deadline = time.monotonic() + patience_sec
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.5)
    return found


@dataclass
class Operator:
    """Somebody with a shell, a Prefect server, and a worker that runs what is deployed."""

    server: ServerAddress
    folder: Path
    environment: dict[str, str]
    stage: Stage
    receiver: Receiver
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def run(self, *arguments: object, cwd: Path | None = None, **environment: str) -> str:
        """Run a command and return what it printed on stdout."""
        done = subprocess.run(
            [sys.executable, "-m", *map(str, arguments)],
            cwd=cwd or self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SEC,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def deploy(self, *arguments: str, **environment: str) -> str:
        """Run `longform deploy` in the repository; the table is wide enough not to wrap."""
        return self.run("cli", "deploy", *arguments, cwd=REPO_ROOT, COLUMNS="200", **environment)

    def start(self, deployment: str, *options: object, **params: object) -> str:
        """Run `prefect deployment run` and return the id of the flow run."""
        given = ("prefect", "--no-prompt", "deployment", "run", deployment, *options)
        printed = self.run(*given, "--params", json.dumps(params))
        found = re.search(r"UUID: ([0-9a-f-]{36})", printed)
        assert found, printed
        return found[1]

    def ask(self, method: str, path: str, content: Any = None, **fields: Any) -> Any:
        """Ask the API of the server."""
        return ask_server(self.server.api_url, method, path, content or fields or None)

    def flow_run(self, run_id: str) -> dict[str, Any]:
        """Return a flow run as the server knows it."""
        found: dict[str, Any] = self.ask("GET", f"flow_runs/{run_id}")
        return found

    def ended(self, run_id: str) -> dict[str, Any]:
        """Wait until a run has ended and return it."""

        def look() -> dict[str, Any] | None:
            run = self.flow_run(run_id)
            return run if run["state_type"] in TERMINAL else None

        found: dict[str, Any] = wait_until(look, f"the end of run {run_id}")
        return found

    def told(self, run_id: str) -> dict[str, Any]:
        """Return the last event that the webhook has had about a run."""

        def look() -> dict[str, Any] | None:
            events = [json.loads(each.body) for each in self.receiver.received]
            return next((e for e in reversed(events) if e["data"]["run_id"] == run_id), None)

        found: dict[str, Any] = wait_until(look, f"the webhook of run {run_id}")
        return found

    def start_worker(self) -> None:
        """Start a process worker of the pool, and wait until the server knows it."""
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL]
        with (self.folder / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.workers.append(process)
        wait_until(
            lambda: self.ask("POST", f"work_pools/{POOL}/workers/filter", limit=1), "the worker"
        )

    def stop_workers(self) -> None:
        """End the workers as Ctrl-C does."""
        for process in self.workers:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOP_TIMEOUT_SEC)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture(scope="module")
def operator(
    scripted_cluster: Stage,
    prefect_server: ServerAddress,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Operator]:
    """Deploy, and start a worker whose runs use the scripted cluster and tell a webhook."""
    folder = tmp_path_factory.mktemp("operator")
    with webhook_receiver() as receiver:
        own = {
            "HOME": str(folder),
            "NO_COLOR": "1",
            "PYTHONPATH": str(REPO_ROOT),
            "LONGFORM_HOME": str(folder / "home"),
            "LONGFORM_CLUSTER": scripted_cluster.address,
            "LONGFORM_ENGINE": "tests.support.scripted_engine:create",
            "LONGFORM_WEBHOOK_URL": receiver.url,
            "LONGFORM_WEBHOOK_SECRET": KEY,
            "LONGFORM_WEBHOOK_ALLOW_PRIVATE_HOSTS": "true",
            "LONGFORM_TIMEZONE": ZONE,
            "PREFECT_WORKER_QUERY_SECONDS": "1",
        }
        environment = dict(os.environ) | prefect_server.environment() | own
        operator = Operator(prefect_server, folder, environment, scripted_cluster, receiver)
        scripted_cluster.direct()
        operator.deploy()
        operator.start_worker()
        yield operator
        operator.stop_workers()


def test_deploying_again(operator: Operator, tmp_path: Path) -> None:
    """What is right stays, a schedule that left the file goes, one made by hand does not.

    Prefect itself keeps the former for ever, and drops the latter.
    """
    text = (REPO_ROOT / "prefect.yaml").read_text()
    noon = '      - slug: noon\n        cron: "0 12 * * *"\n      - slug: weekly\n'
    (tmp_path / "prefect.yaml").write_text(text.replace("      - slug: weekly\n", noon))
    first = operator.deploy("--prefect-file", str(tmp_path / "prefect.yaml"))
    deployment = operator.ask("GET", "deployments/name/reprocess/nightly")
    assert {each["slug"] for each in deployment["schedules"]} == {"nightly", "noon", "weekly"}
    by_hand = {"schedule": {"interval": 86_400}, "active": False}
    operator.ask("POST", f"deployments/{deployment['id']}/schedules", [by_hand])
    second = operator.deploy()
    for printed, actions in (
        (first, {"unchanged", "changed"}),
        (second, {"unchanged", "changed", "removed", "kept"}),
    ):
        assert set(re.findall(r"│ (\w+) +│ [^│]*│\n", printed)) == actions
        assert re.findall(r"(\S+) +│ changed ", printed) == ["reprocess/nightly"]
        assert KEY not in printed
        assert operator.receiver.url not in printed
    assert re.search(r"reprocess/nightly +│ removed +│ noon", second)
    assert re.search(r"reprocess/nightly +│ kept +│ .*by hand", second)
    deployment = operator.ask("GET", "deployments/name/reprocess/nightly")
    slugs = {each["slug"]: each["id"] for each in deployment["schedules"]}
    assert set(slugs) == {"nightly", "weekly", None}
    operator.ask("DELETE", f"deployments/{deployment['id']}/schedules/{slugs[None]}")


def test_the_schedule_is_on_the_server(operator: Operator) -> None:
    """The server plans the nightly runs for two o'clock in its time zone, each with its choice."""
    deployment = operator.ask("GET", "deployments/name/reprocess/nightly")
    schedules = {each["slug"]: each for each in deployment["schedules"]}
    assert schedules["nightly"]["schedule"]["cron"] == "0 2 * * *"
    assert schedules["nightly"]["schedule"]["timezone"] == ZONE
    assert schedules["nightly"]["active"]
    chosen = {"id": {"any_": [deployment["id"]]}}
    scheduled = {"state": {"type": {"any_": ["SCHEDULED"]}}}
    planned = wait_until(
        lambda: operator.ask("POST", "flow_runs/filter", deployments=chosen, flow_runs=scheduled),
        "a planned run",
    )
    hours: dict[str, set[tuple[int, int]]] = {"missing": set(), "outdated": set()}
    for run in planned:
        begins = datetime.fromisoformat(run["expected_start_time"]).astimezone(ZoneInfo(ZONE))
        hours[run["parameters"]["select"]].add((begins.hour, begins.minute))
    assert hours == {"missing": {(2, 0)}, "outdated": {(14, 0)}}


@pytest.mark.model
def test_the_deployment_transcribes(operator: Operator, tmp_path: Path) -> None:
    """With the real model and a cluster of its own it completes, a subflow under each task run."""
    own = {
        "LONGFORM_CLUSTER": "local",
        "LONGFORM_ENGINE": "faster_whisper",
        "LONGFORM_CPU_THREADS": "1",
    }
    run_id = operator.start(
        "transcribe/local",
        *("--job-variable", f"env={json.dumps(own)}"),
        media_url=str(WELCOME),
        output_dir=str(tmp_path),
        params={"macro_chunk_size_sec": 60, "beam_size": 1},
    )
    run = operator.ended(run_id)
    tasks = operator.ask("POST", "task_runs/filter", flow_runs={"id": {"any_": [run_id]}})
    chunks = {task["id"] for task in tasks if task["name"].startswith("welcome.flac 0:")}
    inside = {"parent_flow_run_id": {"any_": [run_id]}}
    subflows = operator.ask("POST", "flow_runs/filter", flow_runs=inside)
    assert run["state_type"] == "COMPLETED", run["state"]
    assert len(chunks) == len(subflows) == 3
    assert {_outer_task(subflow, tasks) for subflow in subflows} == chunks
    assert {subflow["state_type"] for subflow in subflows} == {"COMPLETED"}
    transcript = json.loads((tmp_path / "welcome.json").read_text())
    assert "asterisk" in transcript["text"].lower()
    assert operator.told(run_id)["data"]["status"] == "complete"


def _outer_task(subflow: dict[str, Any], tasks: list[dict[str, Any]]) -> str:
    """Return the task run in which a subflow was called.

    Prefect puts a task run of its own in between, which stands for the subflow.
    """
    (stand_in,) = [task for task in tasks if task["id"] == subflow["parent_task_run_id"]]
    (parent,) = stand_in["task_inputs"]["__parents__"]
    return str(parent["id"])


def test_a_retried_run_does_what_is_missing(operator: Operator, tmp_path: Path) -> None:
    """`prefect flow-run retry` of a run in which a chunk failed transcribes that chunk alone."""
    operator.stage.direct(fail_first={"0": 99}, error="WeightsError")
    run_id = operator.start(
        "transcribe/local",
        media_url=str(WELCOME),
        output_dir=str(tmp_path),
        params={"macro_chunk_size_sec": 30, "language": "en"},
    )
    assert operator.ended(run_id)["state_type"] == "FAILED"
    told = operator.told(run_id)
    assert (told["type"], told["data"]["status"]) == ("transcription.failed", "incomplete")
    assert len(operator.stage.engine_calls) > 1
    operator.stage.direct()
    operator.run("prefect", "--no-prompt", "flow-run", "retry", run_id)
    wait_until(lambda: operator.flow_run(run_id)["state_type"] == "COMPLETED", "the retried run")
    starts = [start for batch in operator.stage.engine_calls for start in batch]
    assert starts
    assert max(starts) < 30 * 16_000, "chunks that were done were done again"
    wait_until(
        lambda: operator.told(run_id)["data"]["attempt"] == 2, "the end of the second attempt"
    )


def bulk_files(folder: Path, num_files: int, num_broken: int) -> list[Path]:
    """Write recordings of a few seconds that differ, and some that are none."""
    folder.mkdir()
    paths = []
    for number in range(num_files):
        path = folder / f"talk{number:02}.flac"
        if number < num_broken:
            path.write_bytes(b"" if number % 2 else b"this is no recording\n" * 50)
        else:
            cut = ["-ss", str(number), "-t", "8", "-i", WELCOME]
            subprocess.run([find_ffmpeg(None), "-v", "error", *cut, path], check=True)
        paths.append(path)
    return paths


def manifest(path: Path, files: list[Path], changed: dict[Path, dict[str, Any]]) -> Path:
    """Write the list of a bulk run, with the parameters of some files."""
    lines = [{"source": str(each), "params": changed.get(each, {})} for each in files]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.mark.parametrize(
    ("num_files", "num_broken"),
    [(5, 1), pytest.param(30, 3, marks=pytest.mark.full)],
)
def test_bulk_runs_do_what_is_needed(
    operator: Operator, tmp_path: Path, num_files: int, num_broken: int
) -> None:
    """A bulk run reports the broken files; the next has nothing to do; then only what changed."""
    operator.stage.direct()
    files = bulk_files(tmp_path / "in", num_files, num_broken)
    listed = manifest(tmp_path / "list.jsonl", files, {})
    common = {"glob": None, "manifest": str(listed), "output_dir": str(tmp_path / "out")}

    def bulk(select: str) -> dict[str, Any]:
        operator.stage.direct()
        run_id = operator.start(
            "reprocess/nightly", "--start-in", "1 second", select=select, **common
        )
        operator.ended(run_id)
        found: dict[str, Any] = operator.told(run_id)
        return found["data"]

    def num_decoded() -> int:
        return sum(map(len, operator.stage.engine_calls))

    num_good = num_files - num_broken
    assert bulk("missing")["outcomes"] == {"failed": num_broken, "transcribed": num_good}
    assert num_decoded() == num_good
    assert bulk("outdated")["outcomes"] == {"skipped": num_files}
    assert num_decoded() == 0
    manifest(listed, files, {files[-1]: {"language": "de"}})
    assert bulk("outdated")["outcomes"] == {"transcribed": 1, "skipped": num_files - 1}
    assert num_decoded() == 1
    assert bulk("outdated")["outcomes"] == {"skipped": num_files}


@pytest.mark.full
def test_a_run_whose_processes_are_gone_is_marked_as_crashed(
    operator: Operator, tmp_path: Path
) -> None:
    """Nobody is left to report it: the heartbeats do, and the automation tells the webhook."""
    operator.deploy("--zombie-after-sec", "45")
    operator.stage.direct(wait_for=str(tmp_path / "go"))
    run_id = operator.start("transcribe/local", media_url=str(WELCOME), output_dir=str(tmp_path))
    wait_until(lambda: operator.stage.engine_calls, "work on the cluster")
    events = {"event": {"name": ["prefect.flow-run.heartbeat"]}}
    wait_until(
        lambda: run_id in json.dumps(operator.ask("POST", "events/filter", filter=events)),
        "a heartbeat of the run",
    )
    (worker,) = operator.workers
    family = psutil.Process(worker.pid).children(recursive=True)
    for process in [*family, psutil.Process(worker.pid)]:
        process.kill()
    worker.wait()
    operator.workers.clear()
    run = operator.ended(run_id)
    (tmp_path / "go").touch()
    assert run["state_type"] == "CRASHED"
    assert "No heartbeat" in run["state"]["message"]
    operator.start_worker()  # it takes the run that tells the webhook
    told = operator.told(run_id)
    assert (told["type"], told["data"]["status"]) == ("transcription.failed", "crashed")
    operator.deploy()
