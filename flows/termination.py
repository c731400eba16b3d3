"""SIGTERM, as a worker of Prefect, a container or an init system sends it, ends a flow cleanly."""

import asyncio
import signal
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

CANCEL_AGAIN_SEC = 5.0  # seconds; what a task may take to put its things in order


@asynccontextmanager
async def cancelled_by_sigterm() -> AsyncIterator[None]:
    """Cancel the current task at SIGTERM, so that every context around it is left.

    Prefect's own handler raises wherever the main thread happens to be: in a task of which
    nobody asks the result, its signal was lost. What comes while the task ends is ignored, until
    Prefect puts its own handler back: it would interrupt the ending, and leave things behind.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None, "only in a coroutine"
    before = signal.getsignal(signal.SIGTERM)
    try:
        loop.add_signal_handler(signal.SIGTERM, cancel_once, task)
    except (ValueError, RuntimeError):  # not in the main thread, which alone gets signals
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, signal.SIG_IGN if task.cancelling() else before)


def cancel_once(task: asyncio.Task[Any]) -> None:
    """Cancel a task, unless it is about to end for that already.

    A run that is cancelled in the UI learns of it twice: from the API, and by the signal of the
    worker that has started it. So does one at Ctrl-C: the whole terminal gets that.
    """
    if not task.cancelling():
        task.cancel()


async def end(
    tasks: Collection[asyncio.Task[Any]], cancel_again_sec: float = CANCEL_AGAIN_SEC
) -> None:
    """Cancel tasks until every one has ended, whatever it ends with.

    Once is not always enough: `asyncio.wait_for` of Python 3.11, for one, loses a cancellation
    that comes together with the result, and libraries use it.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=cancel_again_sec)
    await asyncio.gather(*tasks, return_exceptions=True)
