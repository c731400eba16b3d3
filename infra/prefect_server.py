"""The Prefect server of a laptop: one real server, started when no other is configured.

A process without `PREFECT_API_URL` would start a short-lived server of its own, and so would
every Dask worker. Ours runs in the background until `longform server stop`; a file under
LONGFORM_HOME says which process it is, and on which port it answers.
"""

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import FileLock
from pydantic import TypeAdapter

from infra.prefect_api import (
    LOOPBACK_HOST,
    ServerAddress,
    answers,
    configured_address,
    require_answer,
)
from longform.errors import EnvironmentFaultError
from longform.params import FrozenModel
from longform.process_identity import ProcessIdentity
from longform.storage.local_folder import LocalFolder

APPLICATION = "infra.prefect_server_app:create_app"
STATE_FILE, LOCK_FILE, LOG_FILE = "server.json", "server.lock", "server.log"
START_TIMEOUT_SEC = 120.0  # 9 s when it makes its database, 4 s later, far more on a busy machine
STOP_TIMEOUT_SEC = 15.0
POLL_SEC = 0.1
PORT_ATTEMPTS = 3  # another process may take a free port before the server binds it
LOG_TAIL_LINES = 3
BATCH_SIZE = 500  # events that are written together
FLUSH_SEC = 1  # that an event waits for others, in seconds; Prefect wants a whole number
# How often the server looks for what hardly ever happens on one machine. At Prefect's 5 s, a server
# with nothing to do took a seventh more CPU.
LOOK_SEC = 20


class ServerState(ProcessIdentity):
    """What is kept about our server, in a file."""

    port: int

    def address(self, home: Path) -> ServerAddress:
        """Return where the server answers; `home` is the folder that holds this state."""
        return _address(home, self.port)

    def process(self) -> psutil.Process | None:
        """Return the server's process, or None where none of this machine is it."""
        if self.is_here and not self.is_gone:
            with suppress(psutil.NoSuchProcess):
                return psutil.Process(self.pid)
        return None


def _address(home: Path, port: int) -> ServerAddress:
    url = f"http://{LOOPBACK_HOST}:{port}"  # also of its pages
    return ServerAddress(api_url=f"{url}/api", ui_url=url, prefect_home=home / "prefect")


class _StateOf010(FrozenModel):
    """What version 0.1.0 kept: a server of its time would run on beside ours, on one database.

    This can go in the version after next.
    """

    pid: int
    started_at_unix_sec: float
    port: int

    def upgraded(self) -> ServerState | None:
        """Return the same server, or None where it has ended."""
        with suppress(psutil.NoSuchProcess):
            drift_sec = psutil.Process(self.pid).create_time() - self.started_at_unix_sec
            if abs(drift_sec) < 2:  # start times move when the clock is set
                return ServerState.of_process(self.pid, port=self.port)
        return None


def read_state(home: Path) -> ServerState | None:
    """Return what is noted in `home`, or None where nothing readable is."""
    try:
        noted = (home / STATE_FILE).read_bytes()
        state = TypeAdapter(ServerState | _StateOf010).validate_json(noted)
    except (OSError, ValueError):
        return None  # no server yet, or a damaged file: start anew
    return state.upgraded() if isinstance(state, _StateOf010) else state


def start_process(home: Path, application: str = APPLICATION) -> ServerState:
    """Start the server in the background, in a session of its own, and note it in `home`."""
    port = _free_port()
    # As `prefect server start --background` does it, without the process in between.
    command = [sys.executable, "-m", "uvicorn", "--factory", application]
    command += ["--host", LOOPBACK_HOST, "--port", str(port), "--timeout-keep-alive", "30"]
    command += ["--timeout-graceful-shutdown", "5", "--log-level", "warning"]
    with (home / LOG_FILE).open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=home,
            env=os.environ | _server_environment(home, port),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C in the terminal must not reach it
        )
    state = ServerState.of_process(process.pid, port=port)
    LocalFolder(home).write(STATE_FILE, state.model_dump_json().encode())
    return state


def _server_environment(home: Path, port: int) -> dict[str, str]:
    address = _address(home, port)
    return address.environment() | {
        "PREFECT__SERVER_FINAL": "1",  # as `prefect server start` sets it: one app per process
        "PREFECT_UI_API_URL": address.api_url,  # the pages would ask port 4200 otherwise
        "PREFECT_UI_STATIC_DIRECTORY": str(home / "prefect" / "ui"),
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        # Task runs come as events. By default each is a transaction of its own.
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": str(BATCH_SIZE),
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": str(FLUSH_SEC),
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": str(BATCH_SIZE),
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": str(FLUSH_SEC),
        "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": str(LOOK_SEC),
        "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_LOOP_SECONDS": str(LOOK_SEC),
        "PREFECT_SERVER_SERVICES_CLEANUP_RECONCILER_LOOP_SECONDS": str(LOOK_SEC),
        "PREFECT_SERVER_EVENTS_PROACTIVE_GRANULARITY": f"PT{LOOK_SEC}S",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK_HOST, 0))
        return int(probe.getsockname()[1])


def _end_process(process: psutil.Process) -> None:
    try:
        process.terminate()
        process.wait(STOP_TIMEOUT_SEC)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(STOP_TIMEOUT_SEC)
    except psutil.NoSuchProcess:
        return
    except psutil.AccessDenied as error:
        raise EnvironmentFaultError(
            f"the Prefect server (process {process.pid}) belongs to another user: stop it as that "
            "user"
        ) from error


def log_tail(home: Path) -> str:
    """Return the last lines of the server's log in one line, with the path of the whole."""
    path = home / LOG_FILE
    try:
        lines = path.read_text(errors="replace").split("\n")
    except OSError:
        return f"no log in {path}"
    tail = [line.strip() for line in lines if line.strip()][-LOG_TAIL_LINES:]
    return f"{' | '.join(tail) or 'nothing logged'} (all of it in {path})"


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
            f"cannot write {home} ({error.strerror}): set LONGFORM_HOME to a folder that this "
            "user can write"
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
            _end_process(process)
        (home / STATE_FILE).unlink(missing_ok=True)
    return process is not None


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What `longform server status` shows."""

    address: ServerAddress | None
    running: bool  # it answers
    pid: int | None  # None where the server is not ours


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
