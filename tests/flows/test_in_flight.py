"""The queue of chunks of all recordings of a run."""

import asyncio
import random

from flows.in_flight import WINDOW_PER_SLOT, InFlightLimit


async def test_shorter_recordings_come_first() -> None:
    """Of those who wait for room, the one with the lowest order is told first."""
    window, told = InFlightLimit(), list[int]()
    window.fit(2)
    for _ in range(2 * WINDOW_PER_SLOT):
        window.enter()

    async def wait(order: int) -> None:
        await window.room(order)
        told.append(order)
        window.enter()

    waiting = [asyncio.create_task(wait(order)) for order in (3, 1, 2)]
    await asyncio.sleep(0)
    assert told == []
    window.leave()
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert told == [1]
    window.leave()
    await asyncio.wait(waiting[::2], return_when=asyncio.FIRST_COMPLETED)
    assert told == [1, 2]
    waiting[0].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_nobody_waits_for_ever() -> None:
    """Recordings of any number of chunks, some given up on their way, all come to an end."""
    for seed in range(20):
        choice = random.Random(seed)
        window, running, most = InFlightLimit(), 0, 0
        slots, num_files = choice.randint(1, 4), choice.randint(1, 12)
        window.fit(slots)
        free = asyncio.Semaphore(slots)

        async def chunk(window: InFlightLimit = window, free: asyncio.Semaphore = free) -> None:
            async with free:
                await asyncio.sleep(0)

        async def file(order: int, num_chunks: int, window: InFlightLimit = window) -> None:
            nonlocal running, most
            tasks = []
            for _ in range(num_chunks):
                window.enter()
                running += 1
                most = max(most, running)
                task = asyncio.create_task(chunk())
                task.add_done_callback(lambda _: left(window))
                tasks.append(task)
                await window.room(order)
            await asyncio.gather(*tasks)

        def left(window: InFlightLimit) -> None:
            nonlocal running
            running -= 1
            window.leave()

        files = [asyncio.create_task(file(n, choice.randint(0, 9))) for n in range(num_files)]
        await asyncio.sleep(0)
        for each in choice.sample(files, k=choice.randint(0, len(files) // 3)):
            each.cancel()
        async with asyncio.timeout(60):
            await asyncio.gather(*files, return_exceptions=True)
        assert most <= slots * WINDOW_PER_SLOT + num_files
