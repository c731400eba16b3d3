"""Fixtures shared by all tests."""

import atexit
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

REPO_ROOT = Path(__file__).resolve().parents[1]

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
