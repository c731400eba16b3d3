"""The Prefect server of a laptop: one real server, started when no other is configured.

A process without `PREFECT_API_URL` would start a short-lived server of its own, and so would
every Dask worker.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from infra.prefect_api import ServerAddress, answers, configured_address, require_answer
from infra.server_process import (
    ServerState,
    end_process,
    forget_state,
    log_tail,
    read_state,
    start_process,
)
from longform.errors import EnvironmentFaultError

START_TIMEOUT_SEC = 120.0  # 9 s when it makes its database, 4 s later, far more on a busy machine
POLL_SEC = 0.1
PORT_ATTEMPTS = 3  # another process may take a free port before the server binds it
LOCK_FILE = "server.lock"


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What `longform server status` shows."""

    address: ServerAddress | None
    running: bool  # it answers
    pid: int | None  # None where the server is not ours


@dataclass(frozen=True, slots=True)
class PendingServer:
    """A server that may still be starting: other imports can be done meanwhile."""

    address: ServerAddress
    state: ServerState | None  # None where the server is not ours
    home: Path

    @property
    def is_starting(self) -> bool:
        """It is ours, and does not answer yet."""
        return self.state is not None and not answers(self.address.api_url)

    def wait(self) -> ServerAddress:
        """Wait until the server answers and return its address.

        Raises:
            EnvironmentFaultError: it ended, or did not answer in time; with the end of its log.
        """
        if self.state is None:
            require_answer(self.address)
            return self.address
        deadline = time.monotonic() + START_TIMEOUT_SEC
        while self.is_starting:
            if self.state.process() is None:
                raise EnvironmentFaultError(f"the Prefect server ended: {log_tail(self.home)}")
            if time.monotonic() > deadline:
                raise EnvironmentFaultError(
                    f"the Prefect server did not answer within {START_TIMEOUT_SEC:.0f} s; "
                    f"stop it with `longform server stop` and try again: {log_tail(self.home)}"
                )
            time.sleep(POLL_SEC)
        return self.address


def ensure_server(home: Path) -> ServerAddress:
    """Return a Prefect server that answers: the configured one, else ours under `home`.

    Raises:
        EnvironmentFaultError: there is none and none can be started; the message says why.
    """
    for attempt in range(1, PORT_ATTEMPTS + 1):
        try:
            return begin_server(home).wait()
        except EnvironmentFaultError:
            # Only a lost race for the port is worth another attempt.
            if attempt == PORT_ATTEMPTS or "address already in use" not in log_tail(home):
                raise
    raise AssertionError("unreachable")


def begin_server(home: Path) -> PendingServer:
    """Start our server, unless one is configured or running already; do not wait for it.

    Raises:
        EnvironmentFaultError: `home` cannot be written.
    """
    home = home.absolute()
    if (address := configured_address(os.environ)) is not None:
        return PendingServer(address=address, state=None, home=home)
    try:
        home.mkdir(parents=True, exist_ok=True)
        with FileLock(home / LOCK_FILE):
            state = read_state(home)
            if state is None or state.process() is None:
                state = start_process(home)
    except OSError as error:
        raise EnvironmentFaultError(
            f"cannot write {home} ({error.strerror}): set LONGFORM_HOME to a folder that can be"
        ) from error
    return PendingServer(address=state.address(home), state=state, home=home)


def stop_server(home: Path) -> bool:
    """End the server that was started under `home`, and no other; return whether there was one.

    Raises:
        EnvironmentFaultError: it belongs to another user.
    """
    home = home.absolute()
    if read_state(home) is None:
        return False
    with FileLock(home / LOCK_FILE):
        state = read_state(home)
        process = state.process() if state else None
        if process is not None:
            end_process(process)
        forget_state(home)
    return process is not None


def server_status(home: Path) -> ServerStatus:
    """Say which server a run would use now, without starting one."""
    home = home.absolute()
    if (address := configured_address(os.environ)) is not None:
        return ServerStatus(address=address, running=answers(address.api_url), pid=None)
    state = read_state(home)
    if state is None or state.process() is None:
        return ServerStatus(address=None, running=False, pid=None)
    address = state.address(home)
    return ServerStatus(address=address, running=answers(address.api_url), pid=state.pid)
