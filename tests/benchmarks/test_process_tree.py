"""The measuring of commands: what children cost is counted."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.process_tree import Cost
from tests.conftest import REPO_ROOT

BURN = "import time\nwhile time.process_time() < {cpu_sec}: pass"
GRANDCHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}], check=True)"
HOLD = "import time; held = b'x' * {num_bytes}; time.sleep(1.5)"


# Measured by a process of its own, as benchmarks are: between fork and exec a child counts as
# large as its parent, and this one holds a whole suite of tests.
MEASURE = """
import dataclasses, json, os, sys
from pathlib import Path
from benchmarks.process_tree import measure
folder = Path(sys.argv[1])
command = [sys.executable, "-c", sys.argv[2]]
cost = measure(
    command, environment=os.environ, server_state=folder / "server.json", log=folder / "log"
)
print(json.dumps(dataclasses.asdict(cost)))
"""


def cost_of(code: str, tmp_path: Path) -> Cost:
    """Measure a Python program that runs in a child of the child."""
    arguments = (str(tmp_path), GRANDCHILD.format(code=code))
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *arguments],
        cwd=REPO_ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return Cost(**json.loads(done.stdout))


def test_the_cpu_time_of_a_grandchild_counts(tmp_path: Path) -> None:
    """Half a second burnt two processes down is in the sum, and not twice."""
    cost = cost_of(BURN.format(cpu_sec=0.5), tmp_path)
    assert cost.exit_code == 0
    assert 0.5 <= cost.cpu_sec < 1.0
    assert cost.server_cpu_sec == 0


def test_the_memory_of_a_grandchild_counts(tmp_path: Path) -> None:
    """200 MB held two processes down is the peak of one process, and is in the total."""
    cost = cost_of(HOLD.format(num_bytes=200_000_000), tmp_path)
    assert 200e6 <= cost.peak_process_bytes < 300e6
    assert 200e6 <= cost.peak_total_bytes < 300e6
    assert cost.num_processes == 2
