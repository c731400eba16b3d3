"""The GPU benchmark, on whatever this machine has."""

import subprocess
import sys

import pytest

from benchmarks.recordings import REPO_ROOT


@pytest.mark.full
@pytest.mark.media
@pytest.mark.model
@pytest.mark.server
def test_measures_every_way_where_there_is_no_gpu() -> None:
    """The script is ready for a GPU: on the CPU it runs all ways and finds the same text."""
    command = [sys.executable, "-m", "benchmarks.gpu", "--minutes", "0.5", "--device", "cpu"]
    done = subprocess.run(command, cwd=REPO_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    table = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert len(table) == 5
    assert "met     text within 0.01 of the CPU's: 0.0000" in done.stdout
