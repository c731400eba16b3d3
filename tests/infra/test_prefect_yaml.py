"""`prefect.yaml`, deployed to a real server: as it is, and with planted faults."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml

from infra.prefect_api import ServerAddress
from tests.conftest import REPO_ROOT

pytestmark = pytest.mark.server

TEXT = (REPO_ROOT / "prefect.yaml").read_text()
TIMEOUT_SEC = 180


def deploy(text: str, folder: Path, server: ServerAddress) -> subprocess.CompletedProcess[str]:
    """Deploy all of a file, from a folder of its own."""
    (folder / "prefect.yaml").write_text(text)
    for name in {each["work_pool"]["name"] for each in yaml.safe_load(TEXT)["deployments"]}:
        pool = {"name": name, "type": "process"}
        httpx.post(f"{server.api_url}/work_pools/", json=pool, trust_env=False)
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
