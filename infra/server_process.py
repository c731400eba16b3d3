"""The process of our own Prefect server: started, recognised, ended."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil

from infra.prefect_api import LOOPBACK_HOST, ServerAddress
from longform.errors import EnvironmentFaultError
from longform.params import FrozenModel

STOP_TIMEOUT_SEC = 15.0
START_TIME_TOLERANCE_SEC = 2.0  # start times move with the clock that they are computed from
LOG_TAIL_LINES = 3
STATE_FILE = "server.json"
LOG_FILE = "server.log"
BATCH_SIZE = 500  # events that are written together
FLUSH_SEC = 1  # that an event waits for others, in seconds; Prefect wants a whole number
# How often the server looks for what hardly ever happens on one machine. At Prefect's 5 s, a server
# with nothing to do took a seventh more CPU.
LOOK_SEC = 20
APPLICATION = "infra.server_app:create_app"


class ServerState(FrozenModel):
    """What is kept about our server, in a file.

    The start time tells its process from a later one that got the same id.
    """

    pid: int
    started_at_unix_sec: float
    port: int

    @property
    def base_url(self) -> str:
        """The root of the server, which is also the address of its pages."""
        return f"http://{LOOPBACK_HOST}:{self.port}"

    def address(self, home: Path) -> ServerAddress:
        """Return where the server answers; `home` is the folder that holds this state."""
        return ServerAddress(
            api_url=f"{self.base_url}/api", ui_url=self.base_url, prefect_home=home / "prefect"
        )

    def process(self) -> psutil.Process | None:
        """Return the server's process, or None where it has ended."""
        try:
            process = psutil.Process(self.pid)
            ended = process.status() == psutil.STATUS_ZOMBIE
            drift_sec = abs(process.create_time() - self.started_at_unix_sec)
        except psutil.NoSuchProcess:
            return None
        return None if ended or drift_sec > START_TIME_TOLERANCE_SEC else process


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
    created = psutil.Process(process.pid).create_time()
    state = ServerState(pid=process.pid, started_at_unix_sec=created, port=port)
    _write_state(home, state)
    return state


def _server_environment(home: Path, port: int) -> dict[str, str]:
    address = ServerState(pid=0, started_at_unix_sec=0, port=port).address(home)
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


def end_process(process: psutil.Process) -> None:
    """End the server and wait until it is gone.

    Raises:
        EnvironmentFaultError: it belongs to another user.
    """
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
            f"the Prefect server (process {process.pid}) is another user's: stop it as that user"
        ) from error


def read_state(home: Path) -> ServerState | None:
    """Return what is noted in `home`, or None where nothing readable is."""
    try:
        return ServerState.model_validate_json((home / STATE_FILE).read_bytes())
    except (OSError, ValueError):
        return None  # no server yet, or a file of another version: start anew


def _write_state(home: Path, state: ServerState) -> None:
    draft = home / f"{STATE_FILE}.{os.getpid()}"
    draft.write_text(state.model_dump_json())
    draft.replace(home / STATE_FILE)


def forget_state(home: Path) -> None:
    """Remove the note."""
    (home / STATE_FILE).unlink(missing_ok=True)


def log_tail(home: Path) -> str:
    """Return the last lines of the server's log in one line, with the place of the whole."""
    path = home / LOG_FILE
    try:
        lines = path.read_text(errors="replace").split("\n")
    except OSError:
        return f"no log in {path}"
    tail = [line.strip() for line in lines if line.strip()][-LOG_TAIL_LINES:]
    return f"{' | '.join(tail) or 'nothing logged'} (all of it in {path})"
