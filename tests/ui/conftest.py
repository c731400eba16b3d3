"""A server that has been deployed to, with one run to look at."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infra.prefect_api import ServerAddress
from tests.conftest import REPO_ROOT, WELCOME
from tests.page.conftest import chromium  # noqa: F401  (the same browser)
from tests.support.prefect_reads import ask_server

COMMAND_TIMEOUT_SEC = 600.0  # for what takes 20 s on a machine that is not busy


@dataclass(frozen=True)
class Scene:
    """What there is to be looked at."""

    server: ServerAddress
    run_id: str

    def deployment_id(self, name: str) -> str:
        """Return the id of a deployment (flow/name)."""
        found = ask_server(self.server.api_url, "GET", f"deployments/name/{name}")
        return str(found["id"])


@dataclass(frozen=True)
class Shell:
    """Somebody who works in a folder, with a server."""

    server: ServerAddress
    folder: Path
    own: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, cwd: Path | None = None, exit_code: int = 0) -> str:
        """Run a longform command and return what it printed."""
        home = {"HOME": str(self.folder), "LONGFORM_HOME": str(self.folder / "home")}
        environment = dict(os.environ) | self.server.environment() | home
        done = subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            cwd=cwd or self.folder,
            env=environment | {"PYTHONPATH": str(REPO_ROOT)} | self.own,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_SEC,
            check=False,
        )
        assert done.returncode == exit_code, done.stderr
        return done.stdout


def make_scene(shell: Shell) -> Scene:
    """Deploy to a server, and transcribe the bundled recording."""
    shell.run("deploy", cwd=REPO_ROOT)
    options = ("--json", "-q", "--macro-chunk-size-sec", "60")
    printed = shell.run("transcribe", str(WELCOME), *options)
    return Scene(shell.server, json.loads(printed)["run_url"].rsplit("/", 1)[1])


@pytest.fixture(scope="module")
def scene(prefect_server: ServerAddress, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Deploy, and transcribe with the scripted engine."""
    folder = tmp_path_factory.mktemp("scene")
    engine = "tests.support.scripted_engine:create"
    return make_scene(Shell(prefect_server, folder, {"LONGFORM_ENGINE": engine}))
