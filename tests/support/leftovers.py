"""Processes that a test run has started: found by a mark that every child inherits."""

import os
import secrets
from contextlib import suppress

import psutil

RUN_MARK = "TEST_RUN_OF_THIS_REPOSITORY"
SESSION_MARK = "TEST_SESSION_SERVER"  # ended with the session, not with a test
STOP_SEC = 10.0


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
            and process.status() != psutil.STATUS_ZOMBIE
            # Python's own helper, which ends with the process that it helps.
            and not any("multiprocessing." in part for part in process.cmdline())
        )
    except psutil.Error:
        return False


def stop(processes: list[psutil.Process]) -> None:
    """End processes, politely first."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=STOP_SEC)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=STOP_SEC)
