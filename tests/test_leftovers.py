"""A test run finds the processes that its tests have left."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import REPO_ROOT
from tests.support.leftovers import RUN_MARK, SESSION_MARK, started_by_this_run, stop
from tests.support.processes import lives

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]


def start(**environment: str) -> "subprocess.Popen[bytes]":
    """Start a process that sleeps; return once it does."""
    process = subprocess.Popen(SLEEP, stdout=subprocess.PIPE, env=os.environ | environment)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_what_this_run_has_started_is_found_and_ended() -> None:
    """Children are found by what they inherit; those of other runs and servers are left alone."""
    ours, other, server = start(), start(**{RUN_MARK: "another"}), start(**{SESSION_MARK: "1"})
    try:
        found = [each.pid for each in started_by_this_run(session_servers=False)]
        assert ours.pid in found
        assert {other.pid, server.pid}.isdisjoint(found)
        assert server.pid in [each.pid for each in started_by_this_run(session_servers=True)]
        stop([each for each in started_by_this_run(session_servers=False) if each.pid == ours.pid])
        assert ours.wait(60) is not None
    finally:
        for process in (ours, other, server):
            process.kill()
            process.wait()


LEAVING = f"""
import subprocess, time
from pathlib import Path

def test_that_leaves_one():
    left = subprocess.Popen({SLEEP}, start_new_session=True)
    Path("left.part").write_text(str(left.pid))
    Path("left.part").rename("left")
    if Path("wait").exists():
        time.sleep(600)
"""
IMPATIENT = """
from tests.support import leftovers

leftovers.PATIENCE_SEC = 0.1
"""


def run_that_leaves_one(folder: Path, *options: str) -> "subprocess.Popen[str]":
    """Start a test run of its own, whose only test leaves a process."""
    (folder / "test_leaving.py").write_text(LEAVING)
    (folder / "conftest.py").write_text(IMPATIENT)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    environment = {name: value for name, value in os.environ.items() if name != RUN_MARK}
    return subprocess.Popen(
        [*command, *options, "test_leaving.py"],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(REPO_ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def has_ended(pid: int) -> bool:
    """Return whether no process with that number runs."""
    return not (psutil.pid_exists(pid) and lives(psutil.Process(pid)))


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_run_that_leaves_a_process_fails(tmp_path: Path, workers: str) -> None:
    """Its test is named, and the process is ended."""
    with run_that_leaves_one(tmp_path, "-n", workers) as run:
        printed, _ = run.communicate()
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, printed
    assert "1 passed" in printed
    assert "test_leaving.py::test_that_leaves_one (call) has left" in printed
    assert has_ended(int((tmp_path / "left").read_text()))


def test_a_run_that_is_ended_from_outside_leaves_nothing(tmp_path: Path) -> None:
    """What ends a run that takes too long sends SIGTERM: its processes go with it."""
    (tmp_path / "wait").touch()
    with run_that_leaves_one(tmp_path) as run:
        while run.poll() is None and not (tmp_path / "left").exists():
            time.sleep(0.05)
        run.terminate()
        printed, _ = run.communicate()
    assert run.returncode == pytest.ExitCode.INTERRUPTED, printed
    assert has_ended(int((tmp_path / "left").read_text()))
