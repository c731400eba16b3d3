"""Fixtures shared by all tests."""

import atexit
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from infra.prefect_api import ServerAddress
from infra.server import ensure_server, stop_server

REPO_ROOT = Path(__file__).resolve().parents[1]
WELCOME = REPO_ROOT / "examples" / "welcome.flac"

# Prefect sends its last records when the interpreter exits, and waits a minute for a server
# that has gone. What is registered here, before anybody imports Prefect, ends after that.
_at_exit = ExitStack()
atexit.register(_at_exit.close)


@pytest.fixture(scope="session")
def at_exit() -> Callable[..., object]:
    """Return what registers a call for the very end of the test process."""
    return _at_exit.callback


@pytest.fixture(scope="session")
def media_dir() -> Path:
    """Return the folder of real recordings with references, or skip with the reason."""
    default = REPO_ROOT.parent / "shared" / "media"
    folder = Path(os.environ.get("LONGFORM_MEDIA", default)).resolve()
    if not (folder / "manifest.jsonl").is_file():
        pytest.skip(f"no recordings in {folder}: set LONGFORM_MEDIA to their folder")
    return folder


@pytest.fixture(scope="session")
def prefect_server(
    tmp_path_factory: pytest.TempPathFactory, at_exit: Callable[..., object]
) -> ServerAddress:
    """Start a real Prefect server on a free port, with a home of its own."""
    home = tmp_path_factory.mktemp("server")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PREFECT_API_URL", raising=False)
        patch.setenv("PREFECT_HOME", str(home / "none"))
        address = ensure_server(home)
    at_exit(stop_server, home)
    return address
