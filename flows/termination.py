"""SIGTERM, as a worker of Prefect, a container or an init system sends it, ends a flow cleanly."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def cancelled_by_sigterm() -> AsyncIterator[None]:
    """Cancel the current task at SIGTERM, so that every context around it is left.

    Prefect's own handler raises wherever the main thread happens to be: in a task of which
    nobody asks the result, its signal was lost.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    before = signal.getsignal(signal.SIGTERM)
    try:
        loop.add_signal_handler(signal.SIGTERM, task.cancel if task else loop.stop)
    except (ValueError, RuntimeError):  # not in the main thread, which alone gets signals
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)
