"""A command that finds no server: its workers start beside it, and never outlive the command."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from infra.prefect_server import read_state, stop_server
from longform.runs.history import read_records
from tests.cli.conftest import PATIENCE_SEC, clean_environment
from tests.cli.test_interruption import heed_interrupts, require_gone
from tests.conftest import WELCOME
from tests.support.scripted_engine import SCRIPT_VARIABLE

pytestmark = pytest.mark.server

OPTIONS = ("--macro-chunk-size-sec", "60", "-f", "txt", "-o", "out")
WORKER = "spawn_main"  # in the command line of what multiprocessing starts


class ColdStart:
    """The command, with the scripted engine and neither server nor cluster."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "longform-home"
        self.calls = folder / "calls"
        self._script = folder / "script.json"

    def begin(self, *, finishes: bool) -> "subprocess.Popen[str]":
        """Start it; where it shall not finish, no call of the engine ends before it is let go."""
        held = {} if finishes else {"wait_for": str(self.folder / "go")}
        self._script.write_text(json.dumps({"calls_file": str(self.calls), **held}))
        return subprocess.Popen(
            [sys.executable, "-m", "cli", "transcribe", str(WELCOME), *OPTIONS],
            cwd=self.folder,
            env=clean_environment(self.folder)
            | {
                SCRIPT_VARIABLE: str(self._script),
                "LONGFORM_ENGINE": "tests.support.scripted_engine:create",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=heed_interrupts,
        )

    def let_go(self) -> None:
        """Have the engine's calls end."""
        (self.folder / "go").touch()


@pytest.fixture
def cold(tmp_path: Path) -> Iterator[ColdStart]:
    """A folder without a server, which is ended where one was started."""
    start = ColdStart(tmp_path)
    yield start
    start.let_go()
    stop_server(start.home)


def workers_of(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    """Return the worker processes of a command."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if any(WORKER in word for word in child.cmdline()):
                found.append(child)
    return found


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for what must come."""
    deadline = time.monotonic() + PATIENCE_SEC
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_workers_start_while_the_server_does(cold: ColdStart) -> None:
    """There is a worker before the server has its first run; it does the work, and ends."""
    with cold.begin(finishes=True) as process:
        wait_until(lambda: workers_of(process))
        workers = workers_of(process)
        started_unix_sec = min(worker.create_time() for worker in workers)
        _, complaint = process.communicate(timeout=PATIENCE_SEC)
    assert process.returncode == 0, complaint
    assert "Traceback" not in complaint
    assert (cold.folder / "out" / f"{WELCOME.stem}.txt").read_text()
    (record,) = read_records(cold.home)
    assert record.started_at_unix_sec > started_unix_sec
    require_gone(workers)


@pytest.mark.parametrize("at_work", [False, True], ids=["while it starts", "while it works"])
def test_ctrl_c_leaves_no_worker(cold: ColdStart, *, at_work: bool) -> None:
    """Whether the server or the engine is waited for: the command ends, and its workers do."""
    with cold.begin(finishes=False) as process:
        wait_until(cold.calls.exists if at_work else lambda: workers_of(process))
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        cold.let_go()
        _, complaint = process.communicate(timeout=PATIENCE_SEC)
    assert process.returncode == 130, complaint
    assert "Traceback" not in complaint
    server = read_state(cold.home)
    assert server is not None
    require_gone([each for each in family if each.pid != server.pid])
