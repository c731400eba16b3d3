"""Notes of runs: those of dead processes are found, those of living ones are not."""

import os
import subprocess
import sys
from pathlib import Path

from longform.runs.history import dead_runs, forget_run, noted
from tests.conftest import REPO_ROOT

KILLED = "00000000-0000-4000-8000-000000000001"
LIVING = "00000000-0000-4000-8000-000000000002"
NOTE = """
import sys, time
from pathlib import Path
from longform.runs.history import noted

with noted(Path(sys.argv[1]), sys.argv[2]):
    print("noted", flush=True)
    time.sleep(600)
"""


def test_only_runs_of_dead_processes_are_dead(tmp_path: Path) -> None:
    """A process that was killed leaves a note which says so; others leave none."""
    with noted(tmp_path, LIVING):
        environment = os.environ | {"PYTHONPATH": str(REPO_ROOT)}
        command = [sys.executable, "-c", NOTE, str(tmp_path), KILLED]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            assert dead_runs(tmp_path) == []
            process.kill()
        assert dead_runs(tmp_path) == [KILLED]
    forget_run(tmp_path, KILLED)
    assert dead_runs(tmp_path) == []
    assert list((tmp_path / "running").iterdir()) == []


def test_a_reboot_ends_every_process(tmp_path: Path) -> None:
    """A note from before the machine was started anew is one of a dead process."""
    with noted(tmp_path, LIVING):
        assert dead_runs(tmp_path) == []
        (path,) = (tmp_path / "running").iterdir()
        run, host, _, *process = path.name.split(".")
        path.rename(path.with_name(".".join((run, host, "0" * 16, *process))))
        assert dead_runs(tmp_path) == [LIVING]


def test_notes_of_other_machines_are_left_alone(tmp_path: Path) -> None:
    """Nothing is judged by a process id of another host, nor by a file that is not ours."""
    with noted(tmp_path, LIVING):
        (path,) = (tmp_path / "running").iterdir()
        run, _, *rest = path.name.split(".")
        path.rename(path.with_name(".".join((run, "0" * 16, *rest))))
        (tmp_path / "running" / "notes.txt").write_text("not ours")
        assert dead_runs(tmp_path) == []
