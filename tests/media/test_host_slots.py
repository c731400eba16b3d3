"""No more requests at a time to one host than its slots, whichever loops they run on."""

import asyncio
import threading
from collections.abc import Coroutine

import pytest

from longform.media.sources.http_requests import HostSlots, host_slots


class Crowd:
    """Counts how many hold a slot at once."""

    def __init__(self, slots: HostSlots) -> None:
        self.slots = slots
        self.most = 0
        self.served = 0
        self._now = 0
        self._counting = threading.Lock()

    async def visit(self) -> None:
        """Hold a slot for some turns of the loop."""
        async with self.slots.slot():
            with self._counting:
                self._now += 1
                self.most = max(self.most, self._now)
            for _ in range(5):
                await asyncio.sleep(0)
            with self._counting:
                self._now -= 1
                self.served += 1


async def _all(visits: "list[Coroutine[None, None, None]]") -> None:
    await asyncio.gather(*visits)


def test_loops_on_threads_share_the_slots() -> None:
    """Forty visitors on four loops are all served, never more than three at a time."""
    crowd = Crowd(HostSlots(3))
    threads = [
        threading.Thread(target=lambda: asyncio.run(_all([crowd.visit() for _ in range(10)])))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert crowd.served == 40
    assert 1 <= crowd.most <= 3


async def test_who_leaves_the_queue_holds_up_nobody() -> None:
    """A waiter that is cancelled, before or just after its turn came, loses no slot."""
    slots = HostSlots(1)
    crowd = Crowd(slots)
    async with slots.slot():
        leaving = [asyncio.create_task(crowd.visit()) for _ in range(3)]
        staying = asyncio.create_task(crowd.visit())
        await asyncio.sleep(0)
        leaving[1].cancel()
    leaving[0].cancel()  # its slot was granted in this very turn
    async with asyncio.timeout(5):
        await staying
        await leaving[2]
    assert crowd.served == 2
    async with asyncio.timeout(5), slots.slot():
        pass


async def test_a_loop_that_was_closed_loses_no_slot() -> None:
    """A waiter whose loop has gone is passed over."""
    slots = HostSlots(1)

    async def wait_and_give_up() -> None:
        asyncio.get_running_loop().create_task(slots._acquire())
        await asyncio.sleep(0)

    async with slots.slot():
        await asyncio.to_thread(_run_and_abandon, wait_and_give_up())
    async with asyncio.timeout(5), slots.slot():
        pass


def _run_and_abandon(work: "Coroutine[None, None, None]") -> None:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(work)
    loop.close()


def test_hosts_have_slots_of_their_own() -> None:
    """The same host and port share their slots; others do not."""
    assert host_slots("a.example", 443) is host_slots("a.example", 443)
    assert host_slots("a.example", 443) is not host_slots("a.example", 80)


@pytest.mark.parametrize("num_slots", [1, 4])
async def test_a_failure_inside_gives_the_slot_back(num_slots: int) -> None:
    """After errors there are as many slots as before."""
    slots = HostSlots(num_slots)
    for _ in range(num_slots + 1):
        with pytest.raises(RuntimeError):
            async with asyncio.timeout(5), slots.slot():
                raise RuntimeError
