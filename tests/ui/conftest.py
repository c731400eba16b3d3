"""A server that has been deployed to, with one run to look at."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from infra.prefect_api import ServerAddress
from tests.conftest import REPO_ROOT, WELCOME
from tests.page.conftest import chromium  # noqa: F401  (the same browser)

COMMAND_TIMEOUT_SEC = 600.0  # for what takes 20 s on a machine that is not busy


@dataclass(frozen=True)
class Scene:
    """What there is to be looked at."""

    server: ServerAddress
    run_id: str

    def deployment_id(self, name: str) -> str:
        """Return the id of a deployment (flow/name)."""
        url = f"{self.server.api_url}/deployments/name/{name}"
        response = httpx.get(url, trust_env=False, timeout=60)
        return str(response.raise_for_status().json()["id"])


def command(folder: Path, environment: dict[str, str], *arguments: str) -> str:
    """Run a longform command in a folder and return what it printed."""
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_SEC,
        check=True,
    ).stdout


def make_scene(server: ServerAddress, folder: Path, **own: str) -> Scene:
    """Deploy to a server, and transcribe the bundled recording in a folder."""
    home = {"HOME": str(folder), "LONGFORM_HOME": str(folder / "home")}
    environment = dict(os.environ) | server.environment() | home
    environment |= {"PYTHONPATH": str(REPO_ROOT)} | own
    command(REPO_ROOT, environment, "deploy")
    printed = command(
        folder,
        environment,
        *("transcribe", str(WELCOME), "--json", "-q", "--macro-chunk-size-sec", "60"),
    )
    return Scene(server, json.loads(printed)["run_url"].rsplit("/", 1)[1])


@pytest.fixture(scope="module")
def scene(prefect_server: ServerAddress, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Deploy, and transcribe with the scripted engine."""
    folder = tmp_path_factory.mktemp("scene")
    engine = "tests.support.scripted_engine:create"
    return make_scene(prefect_server, folder, LONGFORM_ENGINE=engine)
