"""Which file of a batch is next, without a cluster."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from flows import batch
from flows.batch import FEWEST, Batch, BatchContext, BatchOptions, FileSlots, HostLimits
from flows.progress import BatchProgress
from flows.run_cluster import RunCluster
from longform.errors import NotMediaError, OutputError
from longform.media.model import source_policy
from longform.params import TranscribeParams
from longform.reprocess.batch_report import FileRecord
from longform.reprocess.entry import Entry
from longform.reprocess.output_paths import OutputPath
from longform.reprocess.selection import Chosen, planned
from longform.settings import Settings
from longform.speech.engine import EngineSpec

PATIENCE_SEC = 60.0


class OneAtATime(HostLimits):
    """Limits as a server has them: one file of the host `slow`."""

    async def _is_limited(self, host: str) -> bool:
        return host == "slow"


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> HostLimits:
    """Return limits whose leases are locks of this process."""
    lock = asyncio.Lock()

    @asynccontextmanager
    async def concurrency(name: str, **_: Any) -> AsyncIterator[None]:
        async with lock:
            yield

    monkeypatch.setattr(batch, "concurrency", concurrency)
    return OneAtATime()


def batch_of(limits: HostLimits, home: Path) -> Batch:
    """Return a batch that has no server and no cluster."""
    settings = Settings(home=home)
    cluster = RunCluster("run", settings)
    policy = source_policy(settings)
    context = BatchContext("run", settings, policy, cluster, BatchProgress(), limits)
    return Batch(context, BatchOptions((), with_changes=False, use_cache=True), [])


def files(folder: Path, *urls: str) -> list[Chosen]:
    """Return files to transcribe, in order."""
    engine, place = EngineSpec(backend="none"), OutputPath(str(folder), "talk")
    return [
        Chosen(number, Entry(media_url=url), TranscribeParams(), engine, place, "why")
        for number, url in enumerate(urls, 1)
    ]


async def test_files_of_other_hosts_pass_those_that_wait(
    limits: HostLimits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the first file of a limited host is at work, all of another host come through."""
    order, most, at_work = list[int](), 0, 0
    others_done = asyncio.Event()

    async def file(self: Batch, chosen: Chosen, places: FileSlots) -> FileRecord:
        nonlocal most, at_work
        async with self.context.host_limit(chosen.entry.host), places:
            at_work += 1
            most = max(most, at_work)
            if chosen.number == 1:
                await others_done.wait()
            await asyncio.sleep(0)
            at_work -= 1
            order.append(chosen.number)
            if {4, 5, 6} <= {*order}:
                others_done.set()
            return planned(chosen).model_copy(update={"outcome": "transcribed"})

    monkeypatch.setattr(Batch, "_file", file)
    batch = batch_of(limits, tmp_path)
    urls = [f"https://{host}/{n}.mp3" for n, host in enumerate(["slow"] * 3 + ["quick"] * 3)]
    async with asyncio.timeout(PATIENCE_SEC):
        assert await batch.run(files(tmp_path, *urls), files_in_flight=2) is None
    assert order == [4, 5, 6, 1, 2, 3]
    assert most <= 2
    assert sorted(record.number for record in batch.records) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("error", "stops"),
    [
        (NotMediaError("no recording"), False),
        (KeyError("a bug"), False),
        (asyncio.CancelledError(), False),
        (OutputError("the disk is full"), True),
    ],
)
async def test_which_errors_end_a_batch(
    limits: HostLimits,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    stops: bool,
) -> None:
    """What is one file's own is recorded; what is wrong for all ends the run, after its peers."""
    noted: list[str] = []

    async def note(place: OutputPath, note: Any) -> None:
        noted.append(note.reason)

    async def file(self: Batch, chosen: Chosen, places: FileSlots) -> FileRecord:
        if chosen.number == 2:
            raise error
        return planned(chosen).model_copy(update={"outcome": "transcribed"})

    monkeypatch.setattr(Batch, "_file", file)
    monkeypatch.setattr("flows.batch.leave_failure", note)
    batch = batch_of(limits, tmp_path)
    async with asyncio.timeout(PATIENCE_SEC):
        stopped = await batch.run(files(tmp_path, "a.mp3", "b.mp3", "c.mp3"), files_in_flight=2)
    outcomes = {record.number: record.outcome for record in batch.records}
    if stops:
        assert stopped is error
        assert outcomes == {1: "transcribed"}
        assert noted == []
        return
    assert stopped is None
    assert outcomes == cast(Any, {1: "transcribed", 2: "failed", 3: "transcribed"})
    assert len(noted) == 1


async def test_as_many_files_are_open_as_the_cluster_has_slots(
    limits: HostLimits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a number few files are open at first, and one for each slot once those are known."""
    at_work, enough, seen = 0, asyncio.Event(), list[int]()

    async def file(self: Batch, chosen: Chosen, places: FileSlots) -> FileRecord:
        nonlocal at_work
        async with places:
            at_work += 1
            if at_work == FEWEST:
                seen.append(at_work)
                self.context.cluster.window.fit(FEWEST + 3)
                self.context.cluster._opened.set()
            if at_work == FEWEST + 3:
                enough.set()
            await enough.wait()
            return planned(chosen).model_copy(update={"outcome": "transcribed"})

    monkeypatch.setattr(Batch, "_file", file)
    batch = batch_of(limits, tmp_path)
    urls = [f"{number}.mp3" for number in range(FEWEST + 3)]
    async with asyncio.timeout(PATIENCE_SEC):
        assert await batch.run(files(tmp_path, *urls), files_in_flight=None) is None
    assert seen == [FEWEST]
    assert len(batch.records) == FEWEST + 3
