"""Prefect tasks on Dask workers, for a fraction of what `Task.submit` costs.

For every task anew, `Task.submit` serializes the run's settings and context, pickles the task
function by value and hashes all of that, and the worker validates it again. None of it changes
in a run. Here a context travels as bytes that were made once, a worker process reads it once,
and a task is named by its place, as its module is installed there.
"""

import asyncio
import atexit
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import ExitStack
from contextvars import Context, copy_context
from importlib import import_module
from threading import Lock
from typing import Any
from uuid import UUID, uuid4

import cloudpickle
from distributed import Client
from prefect import Task
from prefect.client.schemas.objects import State
from prefect.context import hydrated_context, serialize_context
from prefect.task_engine import run_task_async
from prefect_dask.task_runners import PrefectDaskFuture

from infra.run_context import forgetting_results

MAX_CONTEXTS = 4  # of different runs, kept in a worker process


class TaskSender:
    """Sends tasks of the flow run that makes it. Make it in the flow, outside of any task."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._context: bytes = cloudpickle.dumps(serialize_context())

    def send(
        self,
        task: Task[..., Any],
        parameters: Mapping[str, Any],
        *,
        resources: Mapping[str, float],
        priority: int = 0,
    ) -> PrefectDaskFuture[Any]:
        """Send an asynchronous task to the cluster; its future is as that of `Task.submit`."""
        task_run_id = uuid4()
        future = self._client.submit(
            run_sent_task,
            task_place(task),
            task_run_id,
            dict(parameters),
            self._context,
            key=f"{task.name}-{task_run_id}",
            pure=False,
            resources=dict(resources),
            priority=priority,
        )
        return PrefectDaskFuture(wrapped_future=future, task_run_id=task_run_id)


def task_place(task: Task[..., Any]) -> tuple[str, str]:
    """Return the module of a task and its name there."""
    return task.fn.__module__, task.fn.__name__


def run_sent_task(
    place: tuple[str, str], task_run_id: UUID, parameters: dict[str, Any], context: bytes
) -> State[Any]:
    """Run a task in a worker, as part of the flow run whose context it is; return its state."""
    module, name = place
    task: Task[..., Any] = getattr(import_module(module), name)
    state: State[Any] = _contexts.get(context).copy().run(_run, task, task_run_id, parameters)
    return state


def _run(task: Task[..., Any], task_run_id: UUID, parameters: dict[str, Any]) -> State[Any]:
    running: Any = run_task_async(task, task_run_id, parameters=parameters, return_type="state")
    with forgetting_results():
        state: State[Any] = asyncio.run(running)
    return state


class _RunContexts:
    """The contexts of the last runs that this process has worked for."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: OrderedDict[bytes, tuple[Context, ExitStack]] = OrderedDict()

    def get(self, serialized: bytes) -> Context:
        """Return a context in which Prefect finds the flow run, read on the first call."""
        with self._lock:
            if serialized not in self._known:
                context, stack = copy_context(), ExitStack()
                context.run(stack.enter_context, hydrated_context(pickle.loads(serialized)))
                self._known[serialized] = context, stack
            self._known.move_to_end(serialized)
            if len(self._known) > MAX_CONTEXTS:
                self._leave_oldest()
            return self._known[serialized][0]

    def leave_all(self) -> None:
        """Leave every context, each in itself, where Prefect wants to leave it."""
        with self._lock:
            while self._known:
                self._leave_oldest()

    def _leave_oldest(self) -> None:
        _, (context, stack) = self._known.popitem(last=False)
        context.run(stack.close)


_contexts = _RunContexts()
atexit.register(_contexts.leave_all)
