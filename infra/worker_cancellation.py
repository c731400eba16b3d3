"""Ending what a run still has on the workers of a cluster that goes on without it.

Dask lets a task that has started run to its end, even when its flow has given it up. So tasks are
noted here, in the worker process, and the flow asks every worker to end those of its execution.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from distributed import Client

MAX_REMEMBERED = 1_000  # executions that were stopped; a task may still be on its way to start
STOP_TIMEOUT_SEC = 10  # seconds; a worker that does not answer is gone or hopeless

Running = tuple[asyncio.AbstractEventLoop, "asyncio.Task[object]"]

_lock = threading.Lock()
_running: dict[str, set[Running]] = {}
_stopped: deque[str] = deque(maxlen=MAX_REMEMBERED)


@contextmanager
def stoppable(execution: str) -> Iterator[None]:
    """Let `stop` cancel the current asyncio task while the context lasts.

    Raises:
        asyncio.CancelledError: the execution was stopped before.
    """
    task = asyncio.current_task()
    assert task is not None, "only in a coroutine"
    entry = (asyncio.get_running_loop(), task)
    with _lock:
        if execution in _stopped:
            raise asyncio.CancelledError("the run has ended")
        _running.setdefault(execution, set()).add(entry)
    try:
        yield
    finally:
        with _lock:
            _running[execution].discard(entry)
            if not _running[execution]:
                del _running[execution]


def stop(execution: str) -> int:
    """Cancel what this process does for an execution, now and later; return how much that is."""
    with _lock:
        _stopped.append(execution)
        found = list(_running.get(execution, ()))
    for loop, task in found:
        with suppress(RuntimeError):  # the loop has just been closed: that task has ended
            loop.call_soon_threadsafe(task.cancel)
    return len(found)


async def stop_everywhere(client: Client, execution: str) -> None:
    """Have every worker of the cluster stop an execution; those that do not answer are left."""
    with suppress(OSError, TimeoutError, RuntimeError):  # the cluster is gone, or going
        async with asyncio.timeout(STOP_TIMEOUT_SEC):
            await asyncio.to_thread(client.run, stop, execution, on_error="ignore")
