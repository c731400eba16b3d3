"""Runs whose process is gone are closed, so that none stays Running.

Nothing is judged by its age. What is closed is a run whose process is known to be gone, and what
was started by a run that has ended.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, TaskRunFilter
from prefect.client.schemas.objects import FlowRun, State, StateType, TaskRun
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.states import Cancelled, Crashed

from flows.api_outage import best_effort
from longform.runs.history import bury_run, dead_runs

logger = logging.getLogger(__name__)

OPEN = (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)
STAND_IN = "macro_chunk-"  # how Prefect names the task run that stands for a subflow
GONE = "the process that carried it out is gone; finished chunks are kept: run it again"


async def close_task_run(task_run_id: UUID, why: str, *, cancelled: bool = False) -> None:
    """Close a task run whose process cannot do so; one that never began is on no server."""

    async def close() -> None:
        async with get_client() as api:
            try:
                await api.set_task_run_state(task_run_id, _end(why, cancelled), force=True)
            except PrefectHTTPStatusError as error:
                if error.response.status_code != HTTPStatus.NOT_FOUND:
                    raise

    await best_effort(close)


async def close_subflows(flow_run_id: str, *, cancelled: bool = False) -> None:
    """Close the subflow runs of a run that has ended, and what they started."""

    async def close() -> None:
        async with get_client() as api:
            # A worker may die between the task run that stands for a subflow and the subflow.
            async for run in _open_below(api, UUID(flow_run_id), tasks=STAND_IN):
                await _close(api, run, cancelled=cancelled)

    await best_effort(close)


async def close_dead_runs(home: Path) -> list[str]:
    """Close the runs of this machine whose processes are gone; return their ids."""
    found = await asyncio.to_thread(dead_runs, home)
    for run_id in found:
        await best_effort(lambda run_id=run_id: _close_dead(home, run_id))  # type: ignore[misc]
    return found


async def _close_dead(home: Path, run_id: str) -> None:
    async with get_client() as api:
        try:
            run = await api.read_flow_run(UUID(run_id))
        except ObjectNotFound:
            run = None  # another server's, or removed
        if run is not None:
            async for below in _open_below(api, run.id):
                await _close(api, below, cancelled=False)
            if run.state is not None and run.state.type in OPEN:
                logger.info("closing %s: its process is gone", run.name)
                await _close(api, run, cancelled=run.state.type is StateType.CANCELLING)
    await asyncio.to_thread(bury_run, home, run_id)


async def _open_below(
    api: PrefectClient, flow_run_id: UUID, tasks: str = ""
) -> AsyncIterator[FlowRun | TaskRun]:
    """Yield what a flow run has started and what is still open, the innermost runs first.

    Args:
        api: the server.
        flow_run_id: the flow run.
        tasks: a part of the names of its own task runs; those of its subflows are all yielded.
    """
    is_open = {"state": {"type": {"any_": OPEN}}}
    subflows = FlowRunFilter.model_validate(
        {"parent_flow_run_id": {"any_": [flow_run_id]}} | is_open
    )
    for subflow in await api.read_flow_runs(flow_run_filter=subflows):
        async for run in _open_below(api, subflow.id):
            yield run
        yield subflow
    parent = FlowRunFilter.model_validate({"id": {"any_": [flow_run_id]}})
    started = TaskRunFilter.model_validate({"name": {"like_": tasks}} | is_open)
    for task in await api.read_task_runs(flow_run_filter=parent, task_run_filter=started):
        yield task


async def _close(api: PrefectClient, run: FlowRun | TaskRun, *, cancelled: bool) -> None:
    is_flow = isinstance(run, FlowRun)
    set_state = api.set_flow_run_state if is_flow else api.set_task_run_state
    await set_state(run.id, _end(GONE, cancelled), force=True)


def _end(why: str, cancelled: bool) -> State[Any]:
    return Cancelled(message=why) if cancelled else Crashed(message=why)
