"""Tasks that are ended end, even where a cancellation is lost on the way."""

import asyncio

import pytest

from flows.run_lifecycle import end


async def loses_the_first() -> None:
    """Go on after one cancellation, as a library with a race does."""
    try:
        await asyncio.sleep(600)
    except asyncio.CancelledError:
        await asyncio.sleep(600)


async def fails_when_cancelled() -> None:
    """End with an error of its own."""
    try:
        await asyncio.sleep(600)
    except asyncio.CancelledError as error:
        raise ValueError("in the way") from error


@pytest.mark.parametrize("kind", [loses_the_first, fails_when_cancelled])
async def test_every_task_ends(kind: object) -> None:
    """What goes on is cancelled again; what fails does not keep the others."""
    tasks = [asyncio.create_task(kind()), asyncio.create_task(asyncio.sleep(600))]  # type: ignore[operator]
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await end(tasks, cancel_again_sec=0.01)
    assert all(task.done() for task in tasks)


async def test_no_tasks_are_no_work() -> None:
    """Ending nothing returns at once."""
    await end([])
