"""The range gateway: faithful bytes, honest failures, one fetch for all."""

import asyncio
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from longform.errors import SourceChangedError, SourceStalledError, SourceUnavailableError
from longform.media.block_cache import OVERLAP_BYTES
from longform.media.gateway.gateway import running_gateway, serve
from longform.media.model import BLOCK_BYTES
from longform.media.sources.open import open_source
from longform.net.policy import SourcePolicy
from tests.support.range_server import RangeServer

CONTENT = random.Random(5).randbytes(2_000_003)


@pytest.fixture
def content_file(tmp_path: Path) -> str:
    """CONTENT as a local file."""
    (tmp_path / "talk.bin").write_bytes(CONTENT)
    return str(tmp_path / "talk.bin")


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        (None, 200, 0, len(CONTENT)),
        ("bytes=0-", 206, 0, len(CONTENT)),
        ("bytes=0-0", 206, 0, 1),
        ("bytes=1000-300000", 206, 1_000, 300_001),
        ("bytes=2000000-9999999", 206, 2_000_000, len(CONTENT)),
        ("bytes=-5", 206, len(CONTENT) - 5, len(CONTENT)),
        ("bytes=2000003-", 416, 0, 0),
        ("bytes=5-4", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
        ("bytes=0-1,4-5", 416, 0, 0),
        ("lines=1-2", 416, 0, 0),
    ],
)
async def test_ranges(
    content_file: str,
    policy: SourcePolicy,
    tmp_path: Path,
    asked: str | None,
    status: int,
    start: int,
    end: int,
) -> None:
    """Each form of range gets the status and the bytes of RFC 9110, section 14; HEAD none."""
    headers = {"Range": asked} if asked else {}
    source = await open_source(content_file, policy, tmp_path)
    async with serve(source, policy) as served, httpx.AsyncClient(timeout=60) as client:
        got = await client.get(served.url, headers=headers)
        head = await client.head(served.url, headers=headers)
        served.raise_for_failure()
    assert (got.status_code, got.content) == (status, CONTENT[start:end])
    assert (head.status_code, head.content) == (status, b"")
    assert head.headers["Content-Length"] == str(end - start)
    if status == 206:
        assert got.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"


async def test_only_the_secret_path_is_served_and_only_while_it_is(
    content_file: str, policy: SourcePolicy, tmp_path: Path
) -> None:
    """Other paths and methods get nothing, and neither does the right path afterwards."""
    source = await open_source(content_file, policy, tmp_path)
    async with httpx.AsyncClient(timeout=60) as client:
        async with serve(source, policy) as served:
            root = f"http://127.0.0.1:{running_gateway().port}/"
            assert (await client.get(root)).status_code == 404
            assert (await client.get(served.url + "x")).status_code == 404
            assert (await client.post(served.url)).status_code == 405
            assert len(served.token) >= 20
        assert (await client.get(served.url)).status_code == 404


async def test_readers_share_one_fetch(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path
) -> None:
    """Eight readers through two registrations fetch the file once."""
    source = await open_source(server.add(CONTENT), policy, tmp_path)
    opened = server.bytes_sent["/talk.bin"]
    once = len(CONTENT) + len(CONTENT) // BLOCK_BYTES * OVERLAP_BYTES
    async with (
        httpx.AsyncClient(timeout=60) as client,
        serve(source, policy) as a,
        serve(source, policy) as b,
    ):
        bodies = await asyncio.gather(*(client.get(one.url) for one in (a, b) * 4))
        assert a.bytes_fetched == b.bytes_fetched == once
    assert {body.content for body in bodies} == {CONTENT}
    assert server.bytes_sent["/talk.bin"] - opened == once


async def test_a_source_lingers_and_is_then_forgotten(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows that follow each other share what was fetched; later it is all given back."""
    source = await open_source(server.add(CONTENT), policy, tmp_path)
    for _ in range(3):
        async with serve(source, policy) as served:
            await served.read(0, 1_000)
            fetched = served.bytes_fetched
    assert fetched == 262_144
    monkeypatch.setattr("longform.media.gateway.gateway.LINGER_SEC", 0.01)
    async with asyncio.timeout(60):
        while fetched:
            async with serve(source, policy) as served:
                fetched = served.bytes_fetched
            await asyncio.sleep(0.1)


async def test_threads_with_loops_of_their_own_share_the_gateway(
    content_file: str, policy: SourcePolicy, tmp_path: Path
) -> None:
    """Tasks run on threads and loops of their own; all use the one gateway of the process."""
    source = await open_source(content_file, policy, tmp_path)

    async def read() -> tuple[bytes, int]:
        async with serve(source, policy) as served:
            return await served.read(10, 500_000), running_gateway().port

    results: list[tuple[bytes, int]] = []
    threads = [
        threading.Thread(target=lambda: results.append(asyncio.run(read()))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert results == [(CONTENT[10:500_000], running_gateway().port)] * 6


@pytest.mark.parametrize("cuts", [1, 3])
async def test_cut_connections_are_resumed(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path, cuts: int
) -> None:
    """A connection that is cut now and then costs no byte."""
    source = await open_source(server.add(CONTENT), policy, tmp_path)
    server.habits.cut_after, server.habits.cuts = 70_000, cuts
    async with serve(source, policy) as served, httpx.AsyncClient(timeout=60) as client:
        assert (await client.get(served.url)).content == CONTENT
        served.raise_for_failure()


async def test_a_server_that_always_cuts_but_moves_on_is_read(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path
) -> None:
    """As long as each connection brings something new, reading goes on."""
    source = await open_source(server.add(CONTENT), policy, tmp_path)
    server.habits.cut_after = 66_000
    async with serve(source, policy) as served:
        assert await served.read(0, 600_000) == CONTENT[:600_000]


async def _failure(served_url: str) -> type[Exception] | None:
    async with httpx.AsyncClient(timeout=60) as client:
        try:
            await client.get(served_url)
        except httpx.HTTPError as error:
            return type(error)
    return None


async def test_what_cannot_be_delivered_is_told(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path
) -> None:
    """When the source dies, the reader's connection breaks and the user gets the typed error."""
    source = await open_source(server.add(CONTENT), policy, tmp_path)
    server.habits.status = 500
    async with serve(source, policy) as served:
        assert await _failure(served.url) is not None
        with pytest.raises(SourceUnavailableError):
            served.raise_for_failure()


async def test_a_stalled_source_is_told(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path
) -> None:
    """A source that stops sending is an error within the stall time-out."""
    source = await open_source(server.add(CONTENT), policy, tmp_path)
    server.habits.stall_after = 1_000
    once = policy.model_copy(update={"max_attempts": 1, "stall_timeout_sec": 0.4})
    async with serve(source, once) as served, asyncio.timeout(30):
        assert await _failure(served.url) is not None
        with pytest.raises(SourceStalledError):
            served.raise_for_failure()


@pytest.mark.parametrize("etag", ["strong", "weak", None])
async def test_a_source_that_changes_is_told(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path, etag: str | None
) -> None:
    """Bytes of another version are never mixed in, whichever validator the server has."""
    server.habits.etag = etag
    source = await open_source(server.add(CONTENT), policy, tmp_path)
    server.add(CONTENT[::-1])
    server.habits.last_modified = "Sun, 02 Nov 2025 10:00:00 GMT"
    async with serve(source, policy) as served:
        assert await _failure(served.url) is not None
        with pytest.raises(SourceChangedError):
            served.raise_for_failure()


@pytest.mark.parametrize("habit", ["ranges", "wrong_range"])
async def test_wrong_answers_are_not_taken(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path, habit: str
) -> None:
    """A whole file or another range instead of the one asked for is a fault, not audio."""
    source = await open_source(server.add(CONTENT), policy, tmp_path)
    setattr(server.habits, habit, habit == "wrong_range")
    async with serve(source, policy) as served:
        assert await _failure(served.url) is not None
        with pytest.raises(SourceUnavailableError):
            served.raise_for_failure()


async def test_a_reader_that_hangs_up_costs_little_and_is_no_failure(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path
) -> None:
    """A media reader that seeks away hangs up: that is normal, and stops the fetching."""
    large = bytes(30_000_000)
    source = await open_source(server.add(large), policy, tmp_path)
    async with serve(source, policy) as served, httpx.AsyncClient(timeout=60) as client:
        for _ in range(3):
            async with client.stream("GET", served.url) as response:
                await anext(response.aiter_raw(1_000))
        await asyncio.sleep(0.1)
        served.raise_for_failure()
        assert served.bytes_fetched < 10_000_000


def test_a_forked_child_starts_its_own(tmp_path: Path) -> None:
    """A process that was forked has no thread of its parent's, and starts a gateway anew."""
    script = (
        "import os\n"
        "from longform.media.gateway.gateway import running_gateway as gateway\n"
        "port = gateway().port\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(0 if gateway().port not in (0, port) else 1)\n"
        "raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], timeout=120, check=False, env=dict(os.environ)
    )
    assert run.returncode == 0
