"""`prefect.yaml`, deployed to a real server: as it is, and with planted faults."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from deployments.pools import POOLS, TYPE
from deployments.variables import variables
from infra.prefect_api import ServerAddress
from longform.settings import Settings
from tests.conftest import REPO_ROOT
from tests.support.prefect_reads import ask_server

pytestmark = pytest.mark.server

TEXT = (REPO_ROOT / "prefect.yaml").read_text()
TIMEOUT_SEC = 180
ALREADY_THERE = 409


def make(server: ServerAddress, kind: str, body: dict[str, str]) -> None:
    """Make something that other tests with this server may have made already."""
    try:
        ask_server(server.api_url, "POST", f"{kind}/", body)
    except httpx.HTTPStatusError as error:
        if error.response.status_code != ALREADY_THERE:
            raise


def deploy(text: str, folder: Path, server: ServerAddress) -> subprocess.CompletedProcess[str]:
    """Deploy all of a file, from a folder of its own, where its pools and variables exist."""
    (folder / "prefect.yaml").write_text(text)
    for pool in POOLS:
        make(server, "work_pools", {"name": pool, "type": TYPE})
    for each in variables(Settings()):
        make(server, "variables", {"name": each.name, "value": each.default})
    return subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        cwd=folder,
        env=dict(os.environ) | server.environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SEC,
        check=False,
    )


def test_it_is_accepted(prefect_server: ServerAddress, tmp_path: Path) -> None:
    """The server takes every deployment of the file."""
    done = deploy(TEXT, tmp_path, prefect_server)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_wrong_in_it_is_refused(prefect_server: ServerAddress, tmp_path: Path) -> None:
    """A flow that does not exist ends the command with an error."""
    right, wrong = "flows.transcribe.transcribe", "flows.transcribe.transcript"
    assert right in TEXT
    done = deploy(TEXT.replace(right, wrong), tmp_path, prefect_server)
    assert done.returncode != 0, done.stdout
