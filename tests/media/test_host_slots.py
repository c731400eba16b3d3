"""No more requests at a time to one host than its slots, whoever opens and reads."""

import asyncio
import threading
import time
from pathlib import Path

import pytest

from longform.media.gateway.gateway import serve
from longform.media.io_loop import on_io_loop
from longform.media.sources.http_requests import REQUESTS_PER_HOST, host_slots
from longform.media.sources.open import open_source
from longform.net.policy import SourcePolicy
from tests.support.fault_server import Exchange, Fault, Served, fault_server

CONTENT = bytes(range(256)) * 8_000


class Crowd:
    """Counts how many hold a slot at once."""

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self.slots = slots
        self.most = 0
        self.served = 0
        self._now = 0

    async def visit(self) -> None:
        """Hold a slot for some turns of the loop."""
        async with self.slots:
            self._now += 1
            self.most = max(self.most, self._now)
            for _ in range(5):
                await asyncio.sleep(0)
            self._now -= 1
            self.served += 1


def test_threads_with_loops_of_their_own_share_the_slots(
    policy: SourcePolicy, tmp_path: Path
) -> None:
    """Six threads open and read sources of one server, which never has five requests at once."""

    async def read(server_url: str) -> bytes:
        source = await open_source(server_url, policy, tmp_path)
        async with serve(source, policy) as served:
            return await served.read(0, len(CONTENT))

    def slowly(exchange: Exchange) -> None:
        time.sleep(0.01)
        exchange.answer()

    found: list[bytes] = []
    with fault_server() as server:
        server.served = Served(CONTENT)
        server.fault, server.place = Fault(slowly), 0
        threads = [
            threading.Thread(target=lambda: found.append(asyncio.run(read(server.url))))
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert found == [CONTENT] * 6
        assert 2 <= server.most_open <= REQUESTS_PER_HOST


async def test_who_leaves_the_queue_holds_up_no_other() -> None:
    """A waiter that is cancelled, before or just after its turn came, loses no slot."""
    slots = asyncio.Semaphore(1)
    crowd = Crowd(slots)
    async with slots:
        leaving = [asyncio.create_task(crowd.visit()) for _ in range(3)]
        staying = asyncio.create_task(crowd.visit())
        await asyncio.sleep(0)
        leaving[1].cancel()
    leaving[0].cancel()  # its slot was granted in this very turn
    async with asyncio.timeout(5):
        await staying
        await leaving[2]
    assert crowd.served == 2
    async with asyncio.timeout(5), slots:
        pass


async def test_a_crowd_is_served_as_slots_come_free() -> None:
    """Forty visitors are all served, never more at a time than there are slots."""
    crowd = Crowd(host_slots("crowd.example", 443))
    await asyncio.gather(*(crowd.visit() for _ in range(40)))
    assert crowd.served == 40
    assert crowd.most == REQUESTS_PER_HOST


async def test_hosts_have_slots_of_their_own() -> None:
    """The same host and port share their slots; others do not."""
    assert host_slots("a.example", 443) is host_slots("a.example", 443)
    assert host_slots("a.example", 443) is not host_slots("a.example", 80)


@pytest.mark.parametrize("times", [1, 2])
async def test_who_is_cancelled_has_given_everything_back(times: int) -> None:
    """Work on the loop for sources ends with its caller, and before it where it is given time."""
    ended = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.1)
            ended.append(threading.current_thread().name)

    caller = asyncio.create_task(on_io_loop(work()))
    for _ in range(times):
        await asyncio.sleep(0.02)
        caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert ended == (["source-io"] if times == 1 else [])
    await asyncio.sleep(0.3)
    assert ended == ["source-io"]


async def test_errors_and_results_come_back() -> None:
    """What work on the loop for sources returns or raises reaches its caller; also from inside."""

    async def add(a: int, b: int) -> int:
        return a + b

    async def fail() -> None:
        raise LookupError("no")

    async def nested() -> int:
        return await on_io_loop(add(1, 2))

    assert await on_io_loop(nested()) == 3
    with pytest.raises(LookupError, match="no"):
        await on_io_loop(fail())
