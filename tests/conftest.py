"""Fixtures shared by all tests."""

import atexit
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from infra.prefect_api import ServerAddress
from infra.prefect_server import ensure_server
from tests.support import leftovers
from tests.support.s3_server import S3Habits, S3Server, s3_server

REPO_ROOT = Path(__file__).resolve().parents[1]
WELCOME = REPO_ROOT / "examples" / "welcome.flac"

# A deadline for each example is a timed test, and machines are busy.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Servers of a session outlive its test processes: Prefect sends its last records when an
# interpreter exits, and waits a minute for a server that has gone. The first process of a run ends
# them; that is registered before Prefect is imported, and so comes after it. Test processes that
# are ended in a hurry, as busy machines make them, cannot leave one running. Nor can a run that
# `timeout` or a CI ends: to its first process SIGTERM is a Ctrl-C.
IS_FIRST = leftovers.mark_run()
if IS_FIRST:
    atexit.register(lambda: leftovers.stop(leftovers.started_by_this_run(session_servers=True)))
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run whose tests have left a process running, name those tests, and end it."""
    if not IS_FIRST:
        return
    was_interrupted = session.exitstatus == pytest.ExitCode.INTERRUPTED
    if left := leftovers.left_by_tests(0.0 if was_interrupted else leftovers.PATIENCE_SEC):
        leftovers.stop(left)
        print("\nprocesses that outlived their tests:", *left.values(), sep="\n  ")
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def media_dir() -> Path:
    """Return the folder of real recordings with references, or skip with the reason."""
    default = REPO_ROOT.parent / "shared" / "media"
    folder = Path(os.environ.get("LONGFORM_MEDIA", default)).resolve()
    if not (folder / "manifest.jsonl").is_file():
        pytest.skip(f"no recordings in {folder}: set LONGFORM_MEDIA to their folder")
    return folder


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> ServerAddress:
    """Start a real Prefect server on a free port, with a home of its own, for all tests."""
    home = tmp_path_factory.mktemp("server")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PREFECT_API_URL", raising=False)
        patch.setenv("PREFECT_HOME", str(home / "none"))
        patch.setenv(leftovers.SESSION_MARK, "1")
        return ensure_server(home)


@pytest.fixture(scope="session")
def s3_service() -> Iterator[S3Server]:
    """Start a real S3-compatible server on a free port, for all tests."""
    with s3_server() as server:
        yield server


@pytest.fixture
def s3(s3_service: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """Point this process at the S3 server, which holds nothing and behaves well."""
    for name, value in s3_service.environment().items():
        monkeypatch.setenv(name, value)
    s3_service.habits = S3Habits()
    for key in s3_service.names():
        s3_service.delete(key)
    s3_service.requests.clear()
    yield s3_service
    s3_service.habits = S3Habits()
