"""The bulk benchmark tells a run that lost something from one that did not."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.backfill import Database, Outcome, goals, growth_mb
from benchmarks.many_files import FAULTS, make_library
from benchmarks.moments import Moment
from tests.conftest import REPO_ROOT

GOOD = Outcome(
    exit_code=4,
    wall_sec=1.0,
    faults={"a.wav": "", "b.wav": "empty"},
    report={
        "files": [
            {"source": "/x/a.wav", "outcome": "transcribed"},
            {"source": "/x/b.wav", "outcome": "failed"},
        ]
    },
    moments=[
        Moment(number, {"flow": size, "scheduler": size}, {})
        for number, size in ((0, 1), (30, 80_000_000), (100, 90_000_000))
    ],
)
STORED = Database({}, {"flow_run CompletedWithFailures": 1, "task_run Failed": 3}, 1)


def missed(done: Outcome, database: Database = STORED, cpu_sec: float = 0.1) -> int:
    """Return how many goals were missed."""
    return sum(line.startswith("missed") for line in goals(done, database, cpu_sec, 100))


def test_every_loss_is_a_missed_goal() -> None:
    """A file with another end, an open run, a locked database, memory that grows, dear files."""
    assert missed(GOOD) == 0
    assert growth_mb(GOOD.moments, "flow", 100) == 10
    assert missed(replace(GOOD, faults={"a.wav": "", "b.wav": ""})) == 1
    assert missed(replace(GOOD, faults={"a.wav": "", "b.wav": "empty", "c.wav": ""})) == 1
    assert missed(replace(GOOD, num_locked=1)) == 1
    assert missed(GOOD, replace(STORED, states={"task_run Running": 1})) == 1
    assert missed(GOOD, cpu_sec=2.0) == 1
    grown = Moment(100, {"flow": 200_000_000, "scheduler": 1}, {})
    assert missed(replace(GOOD, moments=[*GOOD.moments[:2], grown])) == 1


def test_the_library_has_every_fault(tmp_path: Path) -> None:
    """So many in a hundred are broken, each in its own way, and no two recordings are alike."""
    made = make_library(tmp_path, 100, 0.05)
    assert sorted(filter(None, made.values())) == sorted(FAULTS)
    good = {(tmp_path / name).read_bytes() for name, fault in made.items() if not fault}
    assert len(good) == 95


@pytest.mark.full
@pytest.mark.server
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_small_one(database: str) -> None:
    """Every file of forty is accounted for, with either database."""
    options = ("--files", "40", "--every", "10", "--database", database, "--subflows")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.backfill", *options],
        cwd=REPO_ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=1_800,
    )
    assert "met: every file accounted for" in done.stdout, done.stdout + done.stderr
    assert "met: no run open" in done.stdout, done.stdout
