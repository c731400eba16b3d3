"""Claims on chunks: one holder at a time, none that blocks for ever, deaths that are counted."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from longform.pipeline import chunk_claims
from longform.pipeline.chunk_claims import MAX_DEATHS, ChunkClaims
from longform.storage.folder import open_folder
from longform.storage.lease import Lease
from longform.storage.local_folder import LocalFolder
from tests.conftest import REPO_ROOT

KEY = "ab" * 32
HOLD = """
import asyncio, sys
from longform.pipeline import chunk_claims
from longform.pipeline.chunk_claims import ChunkClaims

async def hold():
    async with ChunkClaims(sys.argv[1]).hold(sys.argv[2], sys.argv[3], "host:1") as is_ours:
        print(is_ours, flush=True)
        await asyncio.sleep(600)

asyncio.run(hold())
"""


@pytest.fixture(params=["folder", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the root of a store: a folder, and one behind fsspec."""
    return str(tmp_path) if request.param == "folder" else f"memory://{tmp_path.name}/chunks"


def put_claim(root: str, machine: str, run: str = "other") -> Lease:
    """Leave the claim of a process on another machine."""
    claim = Lease(
        token="t", run=run, machine=machine, pid=1, process_start="1", worker="elsewhere:1"
    )
    open_folder(f"{root}/{KEY[:2]}").write(f"{KEY}.claim", claim.model_dump_json().encode())
    return claim


def kill_a_holder(root: str, run: str) -> None:
    """Have another process claim the chunk, and kill it."""
    command = [sys.executable, "-c", HOLD, root, KEY, run]
    environment = os.environ | {"PYTHONPATH": str(REPO_ROOT)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        process.kill()


async def test_one_holds_it_at_a_time(root: str) -> None:
    """A second claimant is refused while the first holds the chunk, and not afterwards."""
    claims = ChunkClaims(root)
    async with claims.hold(KEY, "a", "host:1") as first:
        async with claims.hold(KEY, "b", "host:2") as second:
            assert (first, second) == (True, False)
        assert claims.holder(KEY) is not None
    assert claims.holder(KEY) is None
    async with claims.hold(KEY, "b", "host:2") as third:
        assert third


async def test_of_many_at_once_one_is_first(tmp_path: Path) -> None:
    """In a folder the file system decides, so that exactly one of a crowd gets the chunk."""
    claims = ChunkClaims(str(tmp_path))

    all_have_tried, outcomes = asyncio.Event(), list[bool]()

    async def try_it(worker: int) -> None:
        async with claims.hold(KEY, "a", f"host:{worker}") as is_ours:
            outcomes.append(is_ours)
            if len(outcomes) == 20:
                all_have_tried.set()
            await all_have_tried.wait()

    async with asyncio.timeout(120):
        await asyncio.gather(*map(try_it, range(20)))
    assert sum(outcomes) == 1
    assert os.listdir(tmp_path / KEY[:2]) == []  # noqa: PTH208


@pytest.mark.parametrize("cancellations", [1, 2])
async def test_who_is_cancelled_while_claiming_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cancellations: int
) -> None:
    """A claim that was still being written is given back, however often its run is cancelled."""
    begun, may_write, written = threading.Event(), threading.Event(), threading.Event()
    create = LocalFolder.create

    def slow_create(self: LocalFolder, name: str, content: bytes) -> bool:
        begun.set()
        may_write.wait(60)
        try:
            return create(self, name, content)
        finally:
            written.set()

    monkeypatch.setattr(LocalFolder, "create", slow_create)
    claims = ChunkClaims(str(tmp_path))
    holding = asyncio.create_task(claims.hold(KEY, "a", "host:1").__aenter__())
    await asyncio.to_thread(begun.wait, 60)
    for _ in range(cancellations):
        holding.cancel()
        await asyncio.sleep(0.05)
    may_write.set()
    with pytest.raises(asyncio.CancelledError):
        await holding
    assert await asyncio.to_thread(written.wait, 60)
    async with asyncio.timeout(30):
        await claims.wait_until_free(KEY, "b", poll_sec=0.01)
    assert claims.holder(KEY) is None


async def test_who_waits_learns_of_the_end(root: str) -> None:
    """A waiter comes back once the holder has let go; where nobody holds it, at once."""
    claims = ChunkClaims(root)
    assert not await claims.wait_until_free(KEY, "b", poll_sec=0.01)
    async with claims.hold(KEY, "a", "host:1"):
        waiting = asyncio.create_task(claims.wait_until_free(KEY, "b", poll_sec=0.01))
        await asyncio.sleep(0.1)
        assert not waiting.done()
    assert await waiting


async def test_a_dead_holder_of_this_machine_blocks_nobody(tmp_path: Path) -> None:
    """Its process is gone, so its claim is void at once, however long it would have lasted."""
    kill_a_holder(str(tmp_path), "a")
    claims = ChunkClaims(str(tmp_path), ttl_sec=3_600)
    assert await claims.wait_until_free(KEY, "b")
    assert claims.settle(KEY, "b").workers == ()  # of another run: no death of this one
    async with claims.hold(KEY, "b", "host:2") as is_ours:
        assert is_ours


async def test_a_dead_holder_elsewhere_blocks_for_its_lease(root: str) -> None:
    """A claim that nobody renews is void after its time, and not before."""
    put_claim(root, machine="elsewhere")
    began_sec = time.monotonic()
    assert await ChunkClaims(root, ttl_sec=0.5).wait_until_free(KEY, "b", poll_sec=0.01)
    assert time.monotonic() - began_sec >= 0.5


class SetClock:
    """The module `time` as a waiter sees it: time passes when a test says so."""

    def __init__(self) -> None:
        self.now_sec = 0.0
        self.num_looks = 0

    def monotonic(self) -> float:
        """Return the time, and count that somebody looked."""
        self.num_looks += 1
        return self.now_sec

    async def be_looked_at(self, times: int) -> None:
        """Wait until a waiter has looked so often from now on."""
        enough = self.num_looks + times
        async with asyncio.timeout(60):
            while self.num_looks < enough:  # noqa: ASYNC110
                await asyncio.sleep(0.001)


async def test_a_living_holder_elsewhere_is_waited_for(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Renewals keep a claim alive beyond its time."""
    clock = SetClock()
    monkeypatch.setattr(chunk_claims, "time", clock)
    claim = put_claim(root, machine="elsewhere")
    waiting = asyncio.create_task(
        ChunkClaims(root, ttl_sec=2.0).wait_until_free(KEY, "b", poll_sec=0.001)
    )
    place = open_folder(f"{root}/{KEY[:2]}")
    for renewals in range(1, 10):
        renewed = claim.model_copy(update={"renewals": renewals})
        place.write(f"{KEY}.claim", renewed.model_dump_json().encode())
        await clock.be_looked_at(5)  # two looks for a claim that is new, one for each later one
        clock.now_sec += 1.5
    assert not waiting.done()
    place.remove(f"{KEY}.claim")
    assert await waiting


async def test_a_claim_is_renewed(root: str) -> None:
    """While it is held, the claim changes."""
    claims = ChunkClaims(root)
    async with claims.hold(KEY, "a", "host:1", renew_sec=0.01):
        async with asyncio.timeout(60):
            while (claim := claims.holder(KEY)) is None or claim.renewals < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert claims.holder(KEY) is None


async def test_deaths_in_one_run_lead_to_quarantine(tmp_path: Path) -> None:
    """Each death of a claimant counts once; a success forgives."""
    claims = ChunkClaims(str(tmp_path))
    for number in range(1, MAX_DEATHS + 1):
        assert not claims.settle(KEY, "a").is_quarantined
        kill_a_holder(str(tmp_path), "a")
        assert len(claims.settle(KEY, "a").workers) == number
    assert claims.settle(KEY, "a").is_quarantined
    assert claims.settle(KEY, "b").is_quarantined  # the next run does not try it either
    claims.forgive(KEY)
    assert claims.settle(KEY, "a").workers == ()


async def test_a_claim_that_cannot_be_read_is_void_after_its_time(root: str) -> None:
    """Whatever lies in its place, a chunk is not lost to it."""
    open_folder(f"{root}/{KEY[:2]}").write(f"{KEY}.claim", b"")
    assert await ChunkClaims(root, ttl_sec=0.1).wait_until_free(KEY, "b", poll_sec=0.01)
    async with ChunkClaims(root).hold(KEY, "b", "host:2") as is_ours:
        assert is_ours
