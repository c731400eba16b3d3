"""Broken and odd recordings: each has its end, in time and in little memory."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from longform import errors
from longform.media.decode.ffmpeg_args import find_ffmpeg
from tests.odd_media.odd_cases import CASES, Case
from tests.support.media_worker import End, MediaWorker
from tests.support.odd_media import Kitchen

LIMIT_SEC = 60.0
MEMORY_LIMIT_BYTES = 10**9


@pytest.fixture(scope="session")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Kitchen:
    """Where the ingredients are made, once."""
    return Kitchen(tmp_path_factory.mktemp("ingredients"), find_ffmpeg(None))


@pytest.fixture(scope="session")
def worker() -> Iterator[MediaWorker]:
    """A process that does what a run does with each of them."""
    running = MediaWorker(LIMIT_SEC)
    yield running
    running.close()


def test_there_are_enough_of_them() -> None:
    """Sixty recordings, each of its own name."""
    assert len({case.name for case in CASES}) == len(CASES) >= 60


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.name, marks=[] if case.sampled else [pytest.mark.full])
        for case in CASES
    ],
)
def test_how_it_ends(case: Case, kitchen: Kitchen, worker: MediaWorker, tmp_path: Path) -> None:
    """The expected error, or the expected audio; no process is large, and none is left."""
    path = tmp_path / case.name
    try:
        path.write_bytes(case.make(kitchen))
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this ffmpeg cannot make it: {error.stderr.decode(errors='replace')[-200:]}")
    end = worker.end_of(str(path))
    require_end(case, end)
    assert end.children == []
    assert end.peak_bytes < MEMORY_LIMIT_BYTES
    assert end.peak_child_bytes < MEMORY_LIMIT_BYTES


def require_end(case: Case, end: End) -> None:
    """Check the outcome, and that a message is one printable line which names the file."""
    if isinstance(case.end, int):
        assert end.outcome == "decoded", end
        assert abs(end.samples - case.end) <= case.off * case.end, end
        return
    assert issubclass(getattr(errors, end.outcome, object), case.end), end
    assert end.message.isprintable()
