"""Processes that a test run has started: found by a mark that every child inherits."""

import os
import secrets
import time
from collections.abc import Iterable
from contextlib import suppress

import psutil

from tests.support.processes import lives

RUN_MARK = "TEST_RUN_OF_THIS_REPOSITORY"
SESSION_MARK = "TEST_SESSION_SERVER"  # ended with the session, not with a test
TEST_VARIABLE = "PYTEST_CURRENT_TEST"  # pytest sets it, and a child keeps that of its beginning
# Helpers of Python's own, which end with the process that they help. Not `multiprocessing.spawn`:
# that is how Dask starts its workers.
HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")
# For what is about to end, such as the workers of a cluster that has been closed.
PATIENCE_SEC = 30.0
STOP_SEC = 10.0
POLL_SEC = 0.05


def mark_run() -> bool:
    """Mark this process and its children to be; return whether it is the first of the run."""
    if RUN_MARK in os.environ:
        return False
    os.environ[RUN_MARK] = secrets.token_hex(8)
    return True


def started_by_this_run(*, session_servers: bool) -> list[psutil.Process]:
    """Return the processes of this run that live, but for this one and test processes."""
    return [
        process
        for process in psutil.process_iter()
        if process.pid != os.getpid() and _belongs(process, session_servers)
    ]


def _belongs(process: psutil.Process, session_servers: bool) -> bool:
    try:
        environment = process.environ()
        return (
            environment.get(RUN_MARK) == os.environ[RUN_MARK]
            and (SESSION_MARK in environment) == session_servers
            and lives(process)
            and not any(helper in part for part in process.cmdline() for helper in HELPERS)
        )
    except psutil.Error:
        return False


def left_by_tests(patience_sec: float) -> dict[psutil.Process, str]:
    """Return what the tests of this run have left and does not end by itself, with its test."""
    started = {each: _origin(each) for each in started_by_this_run(session_servers=False)}
    return {each: started[each] for each in _still_alive([*started], patience_sec)}


def _origin(process: psutil.Process) -> str:
    try:
        test = process.environ().get(TEST_VARIABLE, "no test")
        return f"{test} has left {process.pid}: {' '.join(process.cmdline())[:300]}"
    except psutil.Error:
        return f"{process.pid} is ending"


def stop(processes: Iterable[psutil.Process]) -> None:
    """End processes, politely first."""
    alive = [*processes]
    for end in (psutil.Process.terminate, psutil.Process.kill):
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                end(process)
        alive = _still_alive(alive, STOP_SEC)


def _still_alive(processes: list[psutil.Process], patience_sec: float) -> list[psutil.Process]:
    deadline = time.monotonic() + patience_sec
    while (alive := [each for each in processes if lives(each)]) and time.monotonic() < deadline:
        time.sleep(POLL_SEC)
    return alive
