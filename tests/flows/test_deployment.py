"""The deployment `transcribe/local`: a real server, a real worker, the real model."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.prefect_api import ServerAddress
from tests.conftest import REPO_ROOT, WELCOME

pytestmark = [pytest.mark.server, pytest.mark.model]

PREFECT = (sys.executable, "-m", "prefect", "--no-prompt")
POOL = "longform-local"
START_TIMEOUT_SEC, STOP_TIMEOUT_SEC = 120, 30


@pytest.fixture
def environment(prefect_server: ServerAddress, tmp_path: Path) -> dict[str, str]:
    """Return the environment of an operator whose home is empty."""
    own = {"HOME": str(tmp_path), "LONGFORM_HOME": str(tmp_path / "home")}
    return dict(os.environ) | prefect_server.environment() | own


@pytest.fixture
def worker(
    environment: dict[str, str], prefect_server: ServerAddress, tmp_path: Path
) -> Iterator[None]:
    """Run a process worker for the pool of the deployment, which creates that pool."""
    command = [*PREFECT, "worker", "start", "--pool", POOL, "--type", "process"]
    with (tmp_path / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    wait_for_pool(prefect_server)
    yield
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_TIMEOUT_SEC)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for_pool(server: ServerAddress) -> None:
    """Wait until the worker has made its pool."""
    deadline = time.monotonic() + START_TIMEOUT_SEC
    while httpx.get(f"{server.api_url}/work_pools/{POOL}", trust_env=False).is_error:
        assert time.monotonic() < deadline, "the worker has made no pool"
        time.sleep(0.2)


def prefect(*arguments: str, environment: dict[str, str], cwd: Path) -> str:
    """Run Prefect's own command as the README tells, and return what it printed."""
    done = subprocess.run(
        [*PREFECT, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ask(server: ServerAddress, path: str, **filters: Any) -> list[dict[str, Any]]:
    """Ask the server for its runs."""
    response = httpx.post(f"{server.api_url}/{path}/filter", json=filters, trust_env=False)
    answer: list[dict[str, Any]] = response.raise_for_status().json()
    return answer


def outer_task(subflow: dict[str, Any], tasks: list[dict[str, Any]]) -> str:
    """Return the task run in which a subflow was called.

    Prefect puts a task run of its own in between, which stands for the subflow.
    """
    (stand_in,) = [task for task in tasks if task["id"] == subflow["parent_task_run_id"]]
    (parent,) = stand_in["task_inputs"]["__parents__"]
    return str(parent["id"])


def test_the_deployment_transcribes(
    worker: None, environment: dict[str, str], prefect_server: ServerAddress, tmp_path: Path
) -> None:
    """Deployed and run as the README says, it completes, with a subflow under each task run."""
    prefect("deploy", "--all", environment=environment, cwd=REPO_ROOT)
    out = tmp_path / "out"
    prefect(
        "deployment",
        "run",
        "transcribe/local",
        *("--param", f"media_url={WELCOME}", "--param", f"output_dir={out}"),
        *("--params", json.dumps({"params": {"macro_chunk_size_sec": 60, "beam_size": 1}})),
        *("--watch", "--watch-timeout", "280"),
        environment=environment,
        cwd=tmp_path,
    )
    runs = ask(prefect_server, "flow_runs", deployments={"name": {"any_": ["local"]}})
    (run,) = [each for each in runs if each["deployment_id"] is not None]
    tasks = ask(prefect_server, "task_runs", flow_runs={"id": {"any_": [run["id"]]}})
    chunks = {task["id"] for task in tasks if task["name"].startswith("welcome.flac 0:")}
    subflows = ask(
        prefect_server, "flow_runs", flow_runs={"parent_flow_run_id": {"any_": [run["id"]]}}
    )
    assert run["state_type"] == "COMPLETED"
    assert len(chunks) == len(subflows) == 3
    assert {outer_task(subflow, tasks) for subflow in subflows} == chunks
    assert {subflow["state_type"] for subflow in subflows} == {"COMPLETED"}
    transcript = json.loads((out / "welcome.json").read_text())
    assert "asterisk" in transcript["text"].lower()
