"""Chunks that share a process, and those that must not."""

import asyncio

from longform.pipeline.company import Company


async def test_suspects_run_alone() -> None:
    """Nobody is inside with a loner, others are together, and all of them get in."""
    company, inside, seen = Company(), set[int](), list[tuple[bool, int]]()

    async def visit(number: int, alone: bool) -> None:
        async with company.join(alone=alone):
            inside.add(number)
            for _ in range(3):
                await asyncio.sleep(0.01)
                seen.append((alone, len(inside)))
            inside.discard(number)

    async with asyncio.timeout(60):
        await asyncio.gather(*(visit(number, alone=number % 3 == 0) for number in range(12)))
    assert {count for alone, count in seen if alone} == {1}
    assert max(count for alone, count in seen if not alone) > 1


async def test_who_gives_up_waiting_keeps_nobody_out() -> None:
    """A loner that was cancelled while it waited leaves no trace."""
    company = Company()
    async with company.join(alone=False):
        waiting = asyncio.create_task(company.join(alone=True).__aenter__())
        await asyncio.sleep(0.05)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        async with asyncio.timeout(60), company.join(alone=False):
            pass
