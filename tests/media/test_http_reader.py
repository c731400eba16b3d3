"""Reading one pinned http source: politely, in bounded time, and never two contents as one."""

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from longform.errors import (
    ContentChangedError,
    EncodedAnswerError,
    SourceUnreliableError,
    WrongRangeError,
)
from longform.media.gateway.gateway import serve
from longform.media.model import Source
from longform.media.sources.http_source import NO_LENGTH_WARNING, NO_RANGES_WARNING
from longform.media.sources.open import open_reader, open_source
from longform.net.policy import SourcePolicy
from tests.support.fault_server import Exchange, Fault, FaultServer, Served, fault_server

CONTENT = random.Random(11).randbytes(3_000_001)
OTHER = CONTENT[::-1]
BARE = Served(CONTENT, etag=None, last_modified=None)


@pytest.fixture
def origin() -> Iterator[FaultServer]:
    """A server of CONTENT that goes wrong when it is told to."""
    with fault_server() as server:
        server.served = Served(CONTENT)
        yield server


@pytest.fixture
def calm(policy: SourcePolicy) -> SourcePolicy:
    """A policy that no busy machine can make fail."""
    return policy.model_copy(update={"stall_timeout_sec": 20.0, "connect_timeout_sec": 20.0})


async def test_a_connection_is_used_again(origin: FaultServer, calm: SourcePolicy) -> None:
    """Many reads one after the other open one connection."""
    source = await open_source(origin.url, calm, Path())
    reader = open_reader(source, calm)
    opened = origin.num_connections
    for start in range(0, 1_000_000, 50_000):
        assert await reader.read(start, start + 50_000) == CONTENT[start : start + 50_000]
    await reader.close()
    assert origin.num_connections == opened + 1


async def test_no_more_than_four_requests_at_a_time_reach_a_host(
    origin: FaultServer, calm: SourcePolicy
) -> None:
    """Two readers with twenty reads each, at once: the server never sees more than four."""
    source = await open_source(origin.url, calm, Path())

    def slowly(exchange: Exchange) -> None:
        time.sleep(0.01)
        exchange.answer()

    origin.arm(Fault(slowly), 0)
    readers = [open_reader(source, calm) for _ in range(2)]
    starts = range(0, 2_000_000, 100_000)
    parts = await asyncio.gather(
        *(reader.read(start, start + 10) for reader in readers for start in starts)
    )
    for reader in readers:
        await reader.close()
    assert parts == [CONTENT[start : start + 10] for start in starts] * 2
    assert 1 < origin.most_open <= 4


async def test_time_lost_to_failures_is_bounded(origin: FaultServer, calm: SourcePolicy) -> None:
    """A server that cuts every body after a tenth is given up once that costs too much time."""

    def cut(exchange: Exchange) -> None:
        exchange.send(exchange.head() + exchange.body[:30_000])
        exchange.finish()

    source = await open_source(origin.url, calm, Path())
    origin.arm(Fault(cut), 0)
    reader = open_reader(source, calm)
    assert await reader.read(0, 300_000) == CONTENT[:300_000]
    await reader.close()
    strict = {"max_lost_sec": 0.005, "min_bytes_per_sec": 1_000_000_000}
    reader = open_reader(source, calm.model_copy(update=strict))
    with pytest.raises(SourceUnreliableError):
        await reader.read(0, 300_000)
    await reader.close()


async def test_a_byte_per_answer_ends(origin: FaultServer, calm: SourcePolicy) -> None:
    """A server that brings one new byte with each answer is given up after `max_attempts`."""

    def crumb(exchange: Exchange) -> None:
        start, end = exchange.asked or (0, 0)
        exchange.asked = (start, min(end, start + 513))
        exchange.answer()

    source = await open_source(origin.url, calm, Path())
    origin.arm(Fault(crumb), 0)
    reader = open_reader(source, calm)
    with pytest.raises(WrongRangeError):
        await reader.read(0, 1_000_000)
    await reader.close()
    assert origin.hits == calm.max_attempts


async def test_a_file_replaced_between_two_tries_of_one_read_is_noticed(
    origin: FaultServer, calm: SourcePolicy
) -> None:
    """Without validators, what a resumed request sends again must be what came before."""

    def cut_and_replace(exchange: Exchange) -> None:
        exchange.send(exchange.head() + exchange.body[:50_000])
        exchange.server.served = replace(BARE, content=OTHER)
        exchange.finish()

    origin.served = BARE
    source = await open_source(origin.url, calm, Path())
    origin.arm(Fault(cut_and_replace, times=1), 0)
    reader = open_reader(source, calm)
    with pytest.raises(ContentChangedError):
        await reader.read(0, 100_000)
    await reader.close()


@pytest.mark.parametrize("shared", [True, False])
async def test_a_file_replaced_before_another_process_reads_is_noticed(
    origin: FaultServer, calm: SourcePolicy, tmp_path: Path, shared: bool
) -> None:
    """Samples travel with the source: a host that reads only the new content sees it, too."""
    policy = calm.model_copy(update={"block_dir": str(tmp_path) if shared else None})
    origin.served = BARE
    source = await open_source(origin.url, policy, Path())
    origin.served = replace(BARE, content=OTHER)
    there = Source.model_validate_json(source.model_dump_json())
    async with serve(there, policy) as served:
        with pytest.raises(ContentChangedError):
            await served.read(0, len(CONTENT))


async def test_opening_and_reading_all_costs_the_file_once(
    origin: FaultServer, calm: SourcePolicy, tmp_path: Path
) -> None:
    """What was read for the fingerprint is not fetched again, nor is what another has fetched."""
    policy = calm.model_copy(update={"block_dir": str(tmp_path)})
    source = await open_source(origin.url, policy, Path())
    assert origin.bytes_sent < 1_300_000
    for tries in (3, 4, 5):  # each policy has a cache of its own, as processes have
        one = policy.model_copy(update={"max_attempts": tries})
        async with serve(source, one) as served:
            assert await served.read(0, len(CONTENT)) == CONTENT
    assert origin.bytes_sent < 1.02 * len(CONTENT)


async def test_a_compressed_first_answer_is_not_taken_for_the_file(
    origin: FaultServer, calm: SourcePolicy
) -> None:
    """A server that compresses from the start is told apart from one without byte ranges."""

    def compress(exchange: Exchange) -> None:
        exchange.asked = None
        exchange.send(exchange.head("200 OK", Content_Encoding="br") + exchange.body)

    origin.arm(Fault(compress), 0)
    with pytest.raises(EncodedAnswerError):
        await open_source(origin.url, calm, Path())


async def test_a_download_whose_end_cannot_be_seen_says_so(
    origin: FaultServer, calm: SourcePolicy, tmp_path: Path
) -> None:
    """Neither length nor chunks: the file is taken, with a warning that it may be cut short."""

    def endless(exchange: Exchange) -> None:
        exchange.asked = None
        exchange.send(exchange.head("200 OK", Content_Length=None) + exchange.body)
        exchange.finish()

    origin.arm(Fault(endless), 0)
    source = await open_source(origin.url, calm, tmp_path)
    assert source.warnings == (NO_RANGES_WARNING, NO_LENGTH_WARNING)
    assert source.length_bytes == len(CONTENT)


async def test_a_first_look_that_is_cut_is_repeated(
    origin: FaultServer, calm: SourcePolicy
) -> None:
    """The very first answer may be cut as any other; the source opens as if it had not been."""
    undisturbed = await open_source(origin.url, calm, Path())

    def cut(exchange: Exchange) -> None:
        exchange.send(exchange.head() + exchange.body[:1_000])
        exchange.finish()

    origin.arm(Fault(cut, times=2), 0)
    source = await open_source(origin.url, calm, Path())
    assert source.fingerprint == undisturbed.fingerprint
    assert origin.hits == 2
