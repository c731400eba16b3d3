"""The one event loop of a process on which its sources are opened and read.

Tasks come and go on threads and loops of theirs, while connections, caches and the limit of
requests to a host are shared between them. Those live here, on a thread of their own, and need
no locks.
"""

import asyncio
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

Result = TypeVar("Result")

_loops: dict[int, asyncio.AbstractEventLoop] = {}  # by process: a fork has none of its threads
_starting = threading.Lock()


def io_loop() -> asyncio.AbstractEventLoop:
    """Return this process's loop for sources, started at the first call; from any thread."""
    with _starting:
        if os.getpid() not in _loops:
            _loops.clear()
            loop = _loops[os.getpid()] = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="source-io", daemon=True).start()
        return _loops[os.getpid()]


async def on_io_loop(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine on the loop for sources, and return its result on the caller's.

    Where the caller is cancelled, the work is too, and has ended when this returns: what it
    holds (a file in the run's folder, a connection) is given back by then. A caller that is
    cancelled once more leaves at once.
    """
    loop = io_loop()
    if asyncio.get_running_loop() is loop:
        return await work
    tasks: list[asyncio.Task[Result]] = []
    ended: Future[Result] = Future()

    def start() -> None:
        tasks.append(loop.create_task(work))
        tasks[0].add_done_callback(lambda task: _settle(ended, task))

    loop.call_soon_threadsafe(start)
    result = asyncio.wrap_future(ended)
    try:
        return await asyncio.shield(result)
    except asyncio.CancelledError:
        loop.call_soon_threadsafe(lambda: tasks[0].cancel())
        await asyncio.wait([result])
        raise


def _settle(ended: "Future[Result]", task: "asyncio.Task[Result]") -> None:
    if task.cancelled():
        ended.cancel()
    elif (error := task.exception()) is not None:
        ended.set_exception(error)
    else:
        ended.set_result(task.result())
