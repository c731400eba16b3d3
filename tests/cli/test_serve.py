"""`longform serve`: the flows on a laptop, without work pools and workers."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil
import pytest

from infra.prefect_api import ServerAddress
from longform.runs.history import dead_runs
from tests.cli.conftest import PATIENCE_SEC, clean_environment
from tests.conftest import WELCOME
from tests.support.prefect_reads import ask_server

pytestmark = pytest.mark.server

POLL_SEC = 0.5


@dataclass
class Laptop:
    """A terminal in which `longform serve` runs, and another beside it."""

    process: "subprocess.Popen[str]"
    environment: dict[str, str]
    server: ServerAddress
    output: IO[str]

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait for something that must come while it serves, and return it."""
        deadline = time.monotonic() + PATIENCE_SEC
        while not (found := condition()):
            assert self.process.poll() is None, self.printed()
            assert time.monotonic() < deadline, f"{what} did not come: {self.printed()}"
            time.sleep(POLL_SEC)
        return found

    def printed(self) -> str:
        """Return all that it has printed so far."""
        self.output.seek(0)
        return self.output.read()

    def deployments(self) -> set[str]:
        """Return the names of the deployments that take runs now."""
        found = ask_server(self.server.api_url, "POST", "deployments/filter", {})
        return {each["name"] for each in found if each["status"] == "READY"}

    def start(self, **params: object) -> str:
        """Run `prefect deployment run transcribe/laptop`; return the id of the run."""
        command = ["prefect", "--no-prompt", "deployment", "run", "transcribe/laptop"]
        done = subprocess.run(
            [sys.executable, "-m", *command, "--params", json.dumps(params)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SEC,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.split("UUID: ")[1].split()[0]

    def state(self, run_id: str) -> str:
        """Return the state of a run."""
        run = ask_server(self.server.api_url, "GET", f"flow_runs/{run_id}")
        return str(run["state_type"])

    def cancel(self, run_id: str) -> None:
        """Press the button of the UI."""
        wanted = {"state": {"type": "CANCELLING"}}
        ask_server(self.server.api_url, "POST", f"flow_runs/{run_id}/set_state", wanted)

    def open_runs(self) -> list[str]:
        """Return the names of runs and task runs that nobody has closed."""
        still_open = {"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}}
        return [
            run["name"]
            for path in ("flow_runs", "task_runs")
            for run in ask_server(self.server.api_url, "POST", f"{path}/filter", {path: still_open})
        ]

    def interrupt(self) -> list[psutil.Process]:
        """Press Ctrl-C, wait until it has ended, and return what is left of its processes."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        os.killpg(self.process.pid, signal.SIGINT)  # a terminal sends it to all of them
        self.process.wait(PATIENCE_SEC)
        return psutil.wait_procs(family, timeout=PATIENCE_SEC)[1]


@pytest.fixture
def laptop(prefect_server: ServerAddress, tmp_path: Path) -> Iterator[Laptop]:
    """Serve with an engine without a model, and wait until runs are taken."""
    environment = clean_environment(tmp_path) | prefect_server.environment()
    environment |= {
        "LONGFORM_ENGINE": "tests.support.scripted_engine:create",
        "LONGFORM_TEST_SCRIPT": str(tmp_path / "script.json"),
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "PYTHONUNBUFFERED": "1",
    }
    (tmp_path / "script.json").write_text("{}")
    with (tmp_path / "serve.log").open("w+") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "serve"],
            cwd=tmp_path,
            env=environment,
            stdout=output,
            stderr=output,
            text=True,
            start_new_session=True,
        )
        laptop = Laptop(process, environment, prefect_server, output)
        try:
            laptop.until(lambda: "laptop" in laptop.deployments(), "the deployment")
            yield laptop
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def test_a_run_is_taken_and_ctrl_c_ends_it(laptop: Laptop, tmp_path: Path) -> None:
    """A run of the deployment completes; Ctrl-C ends serving with a line and no process left."""
    run_id = laptop.start(media_url=str(WELCOME), output_dir=str(tmp_path / "out"))
    laptop.until(lambda: laptop.state(run_id) not in ("SCHEDULED", "PENDING", "RUNNING"), "an end")
    assert laptop.state(run_id) == "COMPLETED", laptop.printed()
    assert json.loads((tmp_path / "out" / "welcome.json").read_text())["text"]
    assert laptop.interrupt() == []
    assert laptop.process.returncode == 0
    assert "no longer serving" in laptop.printed()
    assert "Traceback" not in laptop.printed()
    assert laptop.server.ui_url in laptop.printed()


@pytest.mark.parametrize("how", ["ctrl-c", "in the UI"])
def test_a_run_is_stopped(laptop: Laptop, tmp_path: Path, how: str) -> None:
    """It ends as Cancelled, without a process, a claim or audio behind, whoever stops it.

    It is told twice each time: at Ctrl-C by the terminal and by whoever serves, after a click by
    the API and by whoever serves.
    """
    orders = {"calls_file": str(tmp_path / "calls"), "wait_for": str(tmp_path / "go")}
    (tmp_path / "script.json").write_text(json.dumps(orders))
    run_id = laptop.start(media_url=str(WELCOME), output_dir=str(tmp_path / "out"))
    laptop.until((tmp_path / "calls").exists, "work on a chunk")
    if how == "in the UI":
        family = psutil.Process(laptop.process.pid).children(recursive=True)
        laptop.cancel(run_id)
        assert psutil.wait_procs(family, timeout=PATIENCE_SEC)[1] == []
        laptop.until(lambda: laptop.state(run_id) != "CANCELLING", "the end of the run")
    else:
        assert laptop.interrupt() == []
    assert laptop.state(run_id) == "CANCELLED", laptop.printed()
    home = tmp_path / "longform-home"
    left = [path for path in home.rglob("*") if path.is_file() and path.suffix != ".json"]
    assert [*left, *dead_runs(home)] == [], laptop.printed()
    assert laptop.open_runs() == []
