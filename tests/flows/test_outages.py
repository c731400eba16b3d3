"""What a run needs goes away in the middle of it: the Prefect API, the Dask scheduler."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from distributed.core import error_message
from distributed.protocol.pickle import loads
from prefect.exceptions import PrefectHTTPStatusError

from flows.api_outage import is_outage, picklable_errors
from flows.reprocess import published
from flows.transcribe import transcribe
from infra.prefect_api import ServerAddress
from longform.errors import ApiUnavailableError, ClusterLostError, InvariantError, OutputError
from longform.params import TranscribeParams
from longform.reprocess.batch_report import BatchReport, Cost
from tests.conftest import REPO_ROOT, WELCOME
from tests.flows.conftest import Stage
from tests.flows.test_endings import PATIENCE_SEC, Place, wait_until
from tests.support import cramped_engine
from tests.support.small_disk import enlarge, small_disk
from tests.support.weak_line import weak_line

pytestmark = pytest.mark.server

CLUSTER = """
import time
from infra.cluster import local_cluster
from longform.settings import Settings

with local_cluster(Settings()) as cluster:
    print(cluster.scheduler_address, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize(
    ("command", "outage_sec"),
    [
        ("transcribe", 5),
        pytest.param("transcribe", 60, marks=pytest.mark.full),
        pytest.param("reprocess", 60, marks=pytest.mark.full),
    ],
)
def test_the_api_is_away_for_a_while(
    stage: Stage,
    prefect_server: ServerAddress,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    outage_sec: int,
) -> None:
    """Chunks that end or begin meanwhile are not lost, and the run completes."""
    stage.direct(wait_for=str(tmp_path / "go"))
    place = Place(tmp_path)
    with weak_line(urlsplit(prefect_server.api_url).port or 0) as line:
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{line.port}/api")
        chunks = ("--macro-chunk-size-sec", "30")
        if command == "reprocess":
            chunks = ("--set", "macro_chunk_size_sec=30")
        arguments = (WELCOME, *chunks, "-q", "-f", "txt", "-o", tmp_path / "out")
        with place.command(*arguments, name=command) as process:
            wait_until(lambda: stage.engine_calls, "a call of the engine")
            line.take_away()
            (tmp_path / "go").touch()
            time.sleep(outage_sec)
            line.bring_back()
            _, complaint = process.communicate(timeout=2 * PATIENCE_SEC)
    assert process.returncode == 0, complaint
    heard = [start for batch in stage.engine_calls for start in batch]
    assert len(heard) == len(set(heard))
    assert (tmp_path / "out" / "welcome.txt").read_text()
    assert place.leftovers() == []


async def test_the_report_of_a_bulk_run_needs_no_api(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the API is away at the very end, the table is not shown; the file is there."""

    async def away(*_: object, **__: object) -> None:
        raise httpx.ConnectError("nobody listens")

    monkeypatch.setattr("flows.reprocess.acreate_table_artifact", away)
    report = BatchReport(
        select="missing", dry_run=False, files=(), cost=Cost(), started_at="", duration_sec=1.0
    )
    out = tmp_path / "out"
    written = await published(report, str(out), "run")
    assert [str(path) for path in out.glob("reprocess-*.json")] == [written.address]


async def test_the_disk_of_the_chunk_store_is_full(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run stops at once and names the folder; with room again it goes on to the end."""
    params = TranscribeParams(macro_chunk_size_sec=30)
    with small_disk(tmp_path / "disk", 64 * 1024) as disk:
        filler = disk / "filler"
        filler.write_bytes(bytes(60 * 1024))
        monkeypatch.setenv("LONGFORM_CHUNK_STORE", str(disk / "chunks"))
        with pytest.raises(OutputError, match=f"{disk}.*the disk is full"):
            await transcribe(str(WELCOME), params, output_dir=str(tmp_path / "out"))
        assert not [path for path in disk.rglob(".*") if path.is_file()]
        filler.unlink()
        enlarge(disk, 2**22)
        output = await transcribe(str(WELCOME), params, output_dir=str(tmp_path / "out"))
    assert output.status == "complete"


async def test_the_gpu_is_too_small(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine makes do with less, the transcript is whole, and its warnings say so."""
    params = TranscribeParams(macro_chunk_size_sec=30)
    whole = await transcribe(str(WELCOME), params, output_dir=str(tmp_path / "a"))
    monkeypatch.setenv("LONGFORM_ENGINE", cramped_engine.NAME)
    output = await transcribe(str(WELCOME), params, output_dir=str(tmp_path / "b"))
    assert [each.text for each in output.segments] == [each.text for each in whole.segments]
    assert any("out of memory" in warning for warning in output.warnings)
    assert not any("out of memory" in warning for warning in whole.warnings)


@contextmanager
def cluster_process(stage: Stage) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Run a cluster in a process of its own, which can be killed; with its address."""
    environment = os.environ | {"PYTHONPATH": str(REPO_ROOT), "LONGFORM_HOME": str(stage.home)}
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


@pytest.mark.full
async def test_the_scheduler_is_killed(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run fails soon and says what to do; the next one takes what was finished."""
    first_done = tmp_path / "chunks"
    with cluster_process(stage) as (process, address):
        monkeypatch.setenv("LONGFORM_CLUSTER", address)
        stage.direct(sleep_sec=1.0)

        def kill_soon() -> None:
            wait_until(lambda: list(first_done.glob("*/*.json")), "a finished chunk")
            process.send_signal(signal.SIGKILL)

        killing = asyncio.create_task(asyncio.to_thread(kill_soon))
        params = TranscribeParams(macro_chunk_size_sec=30)
        with pytest.raises(ClusterLostError, match="run again"):
            await transcribe(str(WELCOME), params, output_dir=str(tmp_path / "out"))
        await killing
    kept = len(list(first_done.glob("*/*.json")))
    monkeypatch.setenv("LONGFORM_CLUSTER", stage.address)
    stage.direct()
    output = await transcribe(str(WELCOME), params, output_dir=str(tmp_path / "out"))
    assert kept >= 1
    assert output.status == "complete"
    assert not list(first_done.rglob("*.claim"))


@pytest.mark.parametrize(
    ("status", "expected", "outage"),
    [(503, ApiUnavailableError, True), (409, InvariantError, False)],
)
async def test_what_the_api_answers_a_worker_reaches_the_parent(
    status: int, expected: type[Exception], outage: bool
) -> None:
    """An error of the API survives the way through Dask, and is known there for what it is."""

    async def refused() -> None:
        request = httpx.Request("POST", "http://127.0.0.1/api/flow_runs/")
        answer = httpx.Response(status, request=request)
        raise PrefectHTTPStatusError("refused", request=request, response=answer)

    with pytest.raises(expected) as raised:
        await picklable_errors(refused())
    sent = error_message(raised.value)["exception"]  # as a worker does it
    arrived = loads(sent.data)
    assert type(arrived) is expected
    assert is_outage(arrived) is outage
