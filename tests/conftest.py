"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

REPO_ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def media_dir() -> Path:
    """Return the folder of real recordings with references, or skip with the reason."""
    default = REPO_ROOT.parent / "shared" / "media"
    folder = Path(os.environ.get("LONGFORM_MEDIA", default)).resolve()
    if not (folder / "manifest.jsonl").is_file():
        pytest.skip(f"no recordings in {folder}: set LONGFORM_MEDIA to their folder")
    return folder
