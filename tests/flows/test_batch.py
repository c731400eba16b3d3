"""Which file of a batch is next, without a cluster."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from flows import batch
from flows.batch import FEWEST, PAGE, Batch, BatchOptions, FileSlots, HostLimits
from flows.progress import BatchProgress
from flows.run_cluster import RunCluster
from flows.run_lifecycle import RunContext
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


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> HostLimits:
    """Return limits of one file of the host `slow`, whose leases are locks of this process."""
    lock = asyncio.Lock()

    @asynccontextmanager
    async def concurrency(name: str, **_: Any) -> AsyncIterator[None]:
        async with lock:
            yield

    monkeypatch.setattr(batch, "concurrency", concurrency)
    return HostLimits({"slow"})


def batch_of(limits: HostLimits, home: Path) -> Batch:
    """Return a batch that has no server and no cluster."""
    settings = Settings(home=home)
    context = RunContext(
        run_id="run",
        settings=settings,
        policy=source_policy(settings),
        cluster=RunCluster("run", settings),
        scratch=cast(Any, None),  # each file has one of its own
        progress=BatchProgress(),
    )
    return Batch(context, limits, BatchOptions((), with_changes=False, use_cache=True))


def files(folder: Path, *urls: str) -> list[Chosen]:
    """Return files to transcribe, in order."""
    engine, path = EngineSpec(backend="none"), OutputPath(str(folder), "talk")
    return [
        Chosen(number, Entry(media_url=url), TranscribeParams(), engine, path, "why")
        for number, url in enumerate(urls, 1)
    ]


def transcribe_as(
    monkeypatch: pytest.MonkeyPatch, transcribe: Callable[[Chosen], Awaitable[None]]
) -> None:
    """Have files transcribed by a function, which returns once the last chunk is done."""

    async def transcribed(_self: Batch, chosen: Chosen) -> None:
        await transcribe(chosen)

    async def written(_self: Batch, chosen: Chosen, _done: None) -> FileRecord:
        return planned(chosen).model_copy(update={"outcome": "transcribed"})

    monkeypatch.setattr(Batch, "_transcribed", transcribed)
    monkeypatch.setattr(Batch, "_written", written)


async def test_files_of_other_hosts_pass_those_that_wait(
    limits: HostLimits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the first file of a limited host is at work, all of another host come through."""
    order, most, at_work = list[int](), 0, 0
    others_done = asyncio.Event()

    async def transcribe(chosen: Chosen) -> None:
        nonlocal most, at_work
        at_work += 1
        most = max(most, at_work)
        if chosen.number == 1:
            await others_done.wait()
        await asyncio.sleep(0)
        at_work -= 1
        order.append(chosen.number)
        if {4, 5, 6} <= {*order}:
            others_done.set()

    transcribe_as(monkeypatch, transcribe)
    batch = batch_of(limits, tmp_path)
    urls = [f"https://{host}/{n}.mp3" for n, host in enumerate(["slow"] * 3 + ["quick"] * 3)]
    async with asyncio.timeout(PATIENCE_SEC):
        assert await batch.run(files(tmp_path, *urls), files_in_flight=2) is None
    assert order == [4, 5, 6, 1, 2, 3]
    assert most <= 2
    assert sorted(record.number for record in batch.records) == [1, 2, 3, 4, 5, 6]


async def test_at_most_one_file_holds_a_place_at_its_host_while_it_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit above the number of slots is not used up by files that no slot is free for."""
    held = most = 0

    @asynccontextmanager
    async def concurrency(name: str, **_: Any) -> AsyncIterator[None]:
        nonlocal held, most
        held += 1
        most = max(most, held)
        yield
        held -= 1

    async def transcribe(chosen: Chosen) -> None:
        await asyncio.sleep(0.01)

    monkeypatch.setattr(batch, "concurrency", concurrency)
    transcribe_as(monkeypatch, transcribe)
    wide = batch_of(HostLimits({"wide"}), tmp_path)
    urls = [f"https://wide/{number}.mp3" for number in range(9)]
    async with asyncio.timeout(PATIENCE_SEC):
        assert await wide.run(files(tmp_path, *urls), files_in_flight=2) is None
    assert most == 3
    assert [record.number for record in wide.records] == [*range(1, 10)]


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

    async def note(path: OutputPath, note: Any) -> None:
        noted.append(note.reason)

    async def transcribe(chosen: Chosen) -> None:
        if chosen.number == 2:
            raise error
        if chosen.number == 3 and stops:
            await asyncio.Event().wait()

    transcribe_as(monkeypatch, transcribe)
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
    batch = batch_of(limits, tmp_path)
    cluster = batch.context.cluster

    async def transcribe(chosen: Chosen) -> None:
        nonlocal at_work
        at_work += 1
        if at_work == FEWEST:
            seen.append(at_work)
            cluster.window.fit(FEWEST + 3)
            cluster._opened.set()
        if at_work == FEWEST + 3:
            enough.set()
        await enough.wait()

    transcribe_as(monkeypatch, transcribe)
    urls = [f"{number}.mp3" for number in range(FEWEST + 3)]
    async with asyncio.timeout(PATIENCE_SEC):
        assert await batch.run(files(tmp_path, *urls), files_in_flight=None) is None
    assert seen == [FEWEST]
    assert len(batch.records) == FEWEST + 3


async def test_a_free_slot_goes_to_the_first_file_of_the_list() -> None:
    """Files are opened in order, whichever asks first; one that is cancelled keeps no slot."""
    slots, order = FileSlots(1, RunCluster("run", Settings())), list[int]()

    async def hold(number: int) -> None:
        await slots.take(number)
        order.append(number)
        slots.give()

    await slots.take(1)
    waiting = {number: asyncio.create_task(hold(number)) for number in (4, 3, 2, 5)}
    await asyncio.sleep(0)
    waiting[3].cancel()
    slots.give()
    waiting[2].cancel()  # in the moment in which the slot is handed to it
    await asyncio.wait(waiting.values(), timeout=PATIENCE_SEC)
    assert order == [4, 5]


async def test_all_limits_for_hosts_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Page by page, and those for anything else are left out."""
    names = [f"longform-host-{number}.example.org" for number in range(PAGE)] + ["gpu"]

    class Api:
        async def read_global_concurrency_limits(self, limit: int, offset: int) -> list[Any]:
            return [SimpleNamespace(name=name) for name in names[offset : offset + limit]]

    @asynccontextmanager
    async def get_client() -> AsyncIterator[Api]:
        yield Api()

    monkeypatch.setattr(batch, "get_client", get_client)
    limits = await HostLimits.read()
    assert limits._hosts == {f"{number}.example.org" for number in range(PAGE)}
