"""Runs of processes that are gone are found by their records, those of living ones are not."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from longform.process_identity import this_machine
from longform.runs.history import bury_run, dead_runs, read_records, recorded_run, records_folder
from tests.conftest import REPO_ROOT

KILLED = "00000000-0000-4000-8000-000000000001"
LIVING = "00000000-0000-4000-8000-000000000002"
RUN = """
import asyncio, sys, time
from pathlib import Path
from longform.runs.history import recorded_run

async def run():
    async with recorded_run(Path(sys.argv[1]), sys.argv[2], "transcribe", "a.mp3", ""):
        print("recorded", flush=True)
        time.sleep(600)

asyncio.run(run())
"""


@pytest.fixture
async def living(tmp_path: Path) -> AsyncIterator[Path]:
    """The record of a run of this process."""
    async with recorded_run(tmp_path, LIVING, "transcribe", "a.mp3", ""):
        [path] = records_folder(tmp_path).iterdir()
        yield path


def test_only_runs_of_dead_processes_are_dead(tmp_path: Path, living: Path) -> None:
    """A process that was killed leaves a record which says so; once buried it is found no more."""
    environment = os.environ | {"PYTHONPATH": str(REPO_ROOT)}
    command = [sys.executable, "-c", RUN, str(tmp_path), KILLED]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert dead_runs(tmp_path) == []
        process.kill()
    assert dead_runs(tmp_path) == [KILLED]
    bury_run(tmp_path, KILLED)
    assert dead_runs(tmp_path) == []
    assert {each.run_id: each.state for each in read_records(tmp_path)} == {
        KILLED: "killed",
        LIVING: "running",
    }


def test_a_reboot_ends_every_process(tmp_path: Path, living: Path) -> None:
    """A record from before the machine was started anew is one of a dead process."""
    boot = this_machine().split(" ")[1]
    assert dead_runs(tmp_path) == []
    living.write_text(living.read_text().replace(boot, "another-boot"))
    assert dead_runs(tmp_path) == [LIVING]


def test_records_of_other_machines_are_left_alone(tmp_path: Path, living: Path) -> None:
    """Nothing is judged by a process id of another host, nor by a file that is not ours."""
    living.write_text(living.read_text().replace(this_machine(), "elsewhere boot namespace"))
    (records_folder(tmp_path) / "notes.json").write_text("not ours")
    assert dead_runs(tmp_path) == []
