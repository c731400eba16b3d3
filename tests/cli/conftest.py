"""The `longform` command as a process of its own, as a user runs it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.prefect_api import ServerAddress
from tests.conftest import REPO_ROOT

PATIENCE_SEC = 900  # for what takes half a minute on a machine that is not busy
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def longform(tmp_path: Path) -> Run:
    """Return what runs the command in an empty folder, with an empty HOME and no server."""

    def run(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "cli", *map(str, arguments)],
            cwd=tmp_path,
            env=clean_environment(tmp_path) | environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SEC,
            check=False,
        )

    return run


@pytest.fixture
def longform_with_server(longform: Run, prefect_server: ServerAddress) -> Run:
    """Return what runs the command against the server of the test session."""

    def run(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
        return longform(*arguments, **(prefect_server.environment() | environment))

    return run


def clean_environment(home: Path) -> dict[str, str]:
    """Return an environment with nothing of ours or of Prefect's but an empty home."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PREFECT_", "LONGFORM_"))
    }
    return kept | {
        "HOME": str(home),
        "LONGFORM_HOME": str(home / "longform-home"),
        "PYTHONPATH": str(REPO_ROOT),
        "NO_COLOR": "1",
        # Threads of a model wait for each other: on a busy machine one is faster than two.
        "LONGFORM_CPU_THREADS": "1",
    }
