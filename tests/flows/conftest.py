"""A real Dask cluster of processes with a scripted engine, once for all tests of the flows."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from infra.cluster import local_cluster
from longform.media.decode.ffmpeg_args import find_ffmpeg
from longform.settings import Settings
from tests.conftest import REPO_ROOT, WELCOME
from tests.support.s3_server import S3Server
from tests.support.scripted_engine import SCRIPT_VARIABLE


@dataclass(frozen=True)
class Stage:
    """Where flows run in these tests; the scripted engine follows `script`."""

    home: Path
    script: Path
    calls: Path
    address: str

    def direct(self, **script: Any) -> None:
        """Tell the engine what to do in this test; forget what it was told before."""
        attempts = self.home / "attempts"
        for marker in attempts.glob("*"):
            marker.unlink()
        attempts.mkdir(exist_ok=True)
        self.calls.write_text("")
        orders = {"calls_file": str(self.calls), "attempts_dir": str(attempts)} | script
        self.script.write_text(json.dumps(orders))

    @property
    def engine_calls(self) -> list[list[int]]:
        """The batches that the engine has been given, as start samples."""
        return [json.loads(line) for line in self.calls.read_text().splitlines()]


@pytest.fixture(scope="session")
def scripted_cluster(
    tmp_path_factory: pytest.TempPathFactory, prefect_server: str, s3_service: S3Server
) -> Iterator[Stage]:
    """Start one Dask worker process whose engine is the scripted one, and which reaches S3."""
    home = tmp_path_factory.mktemp("home")
    script, calls = home / "script.json", home / "calls.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SCRIPT_VARIABLE, str(script))
        for name, value in (prefect_server.environment() | s3_service.environment()).items():
            patch.setenv(name, value)
        patch.setenv("PYTHONPATH", str(REPO_ROOT))
        settings = Settings(home=home, engine="tests.support.scripted_engine:create")
        api = {PREFECT_API_URL: prefect_server.api_url, PREFECT_HOME: prefect_server.prefect_home}
        with local_cluster(settings) as cluster, temporary_settings(api):
            yield Stage(home, script, calls, cluster.scheduler_address)


@pytest.fixture
def stage(scripted_cluster: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Point this process at the scripted cluster, with a cache that is empty."""
    monkeypatch.setenv("LONGFORM_HOME", str(scripted_cluster.home))
    monkeypatch.setenv("LONGFORM_CHUNK_STORE", str(tmp_path / "chunks"))
    monkeypatch.setenv("LONGFORM_WORK_STORE", str(tmp_path / "work"))
    monkeypatch.setenv("LONGFORM_CLUSTER", scripted_cluster.address)
    monkeypatch.setenv("LONGFORM_ENGINE", "tests.support.scripted_engine:create")
    monkeypatch.setenv("LONGFORM_ALLOW_PRIVATE_HOSTS", "true")
    monkeypatch.chdir(tmp_path)
    scripted_cluster.direct()
    return scripted_cluster


@pytest.fixture
def matroska(tmp_path: Path) -> Path:
    """Return the bundled recording in a container that must be read from the start."""
    path = tmp_path / "welcome.mkv"
    command = [find_ffmpeg(None), "-v", "error", "-i", WELCOME, "-c:a", "copy", path]
    subprocess.run(command, check=True)
    return path
