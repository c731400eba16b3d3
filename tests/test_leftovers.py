"""A test run finds the processes that its tests have left."""

import os
import subprocess
import sys

from tests.support.leftovers import RUN_MARK, SESSION_MARK, started_by_this_run, stop

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
