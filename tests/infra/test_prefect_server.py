"""The local Prefect server: started once, recognised, ended."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from infra import prefect_server
from infra.prefect_api import ServerAddress, configured_address
from infra.prefect_server import (
    ServerState,
    begin_server,
    ensure_server,
    log_tail,
    read_state,
    server_status,
    stop_server,
)
from longform.errors import EnvironmentFaultError
from tests.support.processes import lives


@pytest.fixture(autouse=True)
def no_configured_api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide whatever Prefect configuration the machine has."""
    for name in ("PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "no-prefect-home"))


@pytest.mark.server
def test_one_server_is_started_reused_and_ended(tmp_path: Path) -> None:
    """Two callers at once get one server that answers, a third reuses it, stop leaves nothing."""
    try:
        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(ensure_server, [tmp_path, tmp_path])
        assert first == second == ensure_server(tmp_path)
        health = httpx.get(f"{first.api_url}/health", timeout=60, trust_env=False)
        page = httpx.get(f"{first.ui_url}/ui-settings", timeout=60, trust_env=False).json()
        status = server_status(tmp_path)
        assert health.json() is True
        assert page["api_url"] == first.api_url
        assert status.running
        assert status.pid is not None
        process = psutil.Process(status.pid)
    finally:
        stopped = stop_server(tmp_path)
    assert stopped
    assert not lives(process)
    assert not server_status(tmp_path).running
    assert not stop_server(tmp_path)


def test_a_configured_server_is_used_and_none_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`PREFECT_API_URL` wins, and where nobody answers there the message names the address."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert begin_server(tmp_path / "home").address.api_url == "http://127.0.0.1:9/api"
    with pytest.raises(EnvironmentFaultError, match=r"no Prefect server answers at http://127\.0"):
        ensure_server(tmp_path / "home")
    assert not (tmp_path / "home").exists()


def test_the_active_profile_is_read(tmp_path: Path) -> None:
    """The API address of the active profile counts where the environment names none."""
    (tmp_path / "profiles.toml").write_text(
        'active = "lab"\n[profiles.lab]\nPREFECT_API_URL = "http://lab.example/api"\n'
        "[profiles.other]\n"
    )
    environment = {"PREFECT_HOME": str(tmp_path)}
    address = configured_address(environment)
    assert address is not None
    assert (address.api_url, address.ui_url) == ("http://lab.example/api", "http://lab.example")
    assert configured_address(environment | {"PREFECT_PROFILE": "other"}) is None


def test_a_server_that_ends_is_reported_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that dies while it starts gives one line that quotes its log."""
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho 'no such table: flow' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(prefect_server.sys, "executable", str(program))
    with pytest.raises(EnvironmentFaultError) as caught:
        ensure_server(tmp_path / "home")
    assert "the Prefect server ended: no such table: flow" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_process_with_the_same_id_is_left_alone(tmp_path: Path) -> None:
    """A state file whose process id now belongs to another program does not lead to its end."""
    mine = ServerState.of_this_process(port=1)
    stale = mine.model_copy(update={"process_start": f"{mine.process_start}0"})
    (tmp_path / prefect_server.STATE_FILE).write_text(stale.model_dump_json())
    assert stale.process() is None
    assert not stop_server(tmp_path)
    assert not (tmp_path / prefect_server.STATE_FILE).exists()


@pytest.mark.parametrize(("drift_sec", "is_it"), [(0.5, True), (-60, False)])
def test_a_server_of_the_version_before_is_recognised(
    tmp_path: Path, drift_sec: float, is_it: bool
) -> None:
    """Version 0.1.0 noted a time of start by the clock: its server is used, and can be stopped."""
    mine = psutil.Process()
    noted = {"pid": mine.pid, "started_at_unix_sec": mine.create_time() + drift_sec, "port": 1}
    (tmp_path / prefect_server.STATE_FILE).write_text(json.dumps(noted))
    state = read_state(tmp_path)
    assert (state.process() if state else None) == (mine if is_it else None)


def test_a_server_of_another_machine_is_not_ours(tmp_path: Path) -> None:
    """Where machines share a home, the process id of one means nothing on the other."""
    mine = ServerState.of_this_process(port=1)
    assert mine.process() == psutil.Process()
    assert mine.model_copy(update={"machine": "another"}).process() is None


def test_a_home_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    """A home below a file is refused with the variable that moves it."""
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentFaultError, match="set LONGFORM_HOME"):
        begin_server(tmp_path / "file" / "home")


def test_the_environment_is_applied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flows and workers are told the API, the home, and to start no server of their own."""
    monkeypatch.setattr(os, "environ", {})
    address = ServerAddress(api_url="http://x/api", ui_url="http://x", prefect_home=tmp_path)
    address.apply()
    assert os.environ["PREFECT_API_URL"] == "http://x/api"
    assert os.environ["PREFECT_SERVER_EPHEMERAL_ENABLED"] == "false"
    assert os.environ["PREFECT_HOME"] == str(tmp_path)


def test_the_log_tail_is_short(tmp_path: Path) -> None:
    """Only the last lines of a long log are quoted, on one line."""
    (tmp_path / prefect_server.LOG_FILE).write_text("".join(f"line {n}\n" for n in range(99)))
    assert log_tail(tmp_path).startswith("line 96 | line 97 | line 98 (")


def test_waiting_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that never answers is given up, and the message says what to do."""
    state = ServerState.of_this_process(port=9)
    monkeypatch.setattr(prefect_server, "START_TIMEOUT_SEC", 0.0)
    pending = prefect_server.PendingServer(
        address=state.address(tmp_path), state=state, home=tmp_path
    )
    with pytest.raises(EnvironmentFaultError, match="longform server stop"):
        pending.wait()
