"""Runs whose process is gone are closed, so that none stays Running.

Nothing is judged by its age. What is closed is a run whose process is known to be gone, and what
was started by a run that has ended.
"""

import asyncio
import logging
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, TaskRunFilter
from prefect.client.schemas.objects import StateType
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
            state: Any = Cancelled(message=why) if cancelled else Crashed(message=why)
            try:
                await api.set_task_run_state(task_run_id, state, force=True)
            except PrefectHTTPStatusError as error:
                if error.response.status_code != HTTPStatus.NOT_FOUND:
                    raise

    await best_effort(close)


async def close_subflows(flow_run_id: str, *, cancelled: bool = False) -> None:
    """Close the subflow runs of a run that has ended, and what they started."""

    async def close() -> None:
        async with get_client() as api:
            await _close_below(api, flow_run_id, cancelled=cancelled)

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
            await _close_tasks(api, run_id, cancelled=False)
            await _close_below(api, run_id, cancelled=False)
            if run.state is not None and run.state.type in OPEN:
                logger.info("closing %s: its process is gone", run.name)
                asked = run.state.type is StateType.CANCELLING
                await _close_run(api, run.id, cancelled=asked)
    await asyncio.to_thread(bury_run, home, run_id)


async def _close_below(api: PrefectClient, flow_run_id: str, *, cancelled: bool) -> None:
    for subflow_id in await _open_runs(api, {"parent_flow_run_id": {"any_": [flow_run_id]}}):
        await _close_tasks(api, str(subflow_id), cancelled=cancelled)
        await _close_run(api, subflow_id, cancelled=cancelled)
    # A worker may die between the task run that stands for a subflow and the subflow itself.
    await _close_tasks(api, flow_run_id, cancelled=cancelled, name=STAND_IN)


async def _open_runs(api: PrefectClient, filters: dict[str, Any]) -> Sequence[UUID]:
    wanted = FlowRunFilter.model_validate(filters | {"state": {"type": {"any_": OPEN}}})
    return [run.id for run in await api.read_flow_runs(flow_run_filter=wanted)]


async def _close_tasks(
    api: PrefectClient, flow_run_id: str, *, cancelled: bool, name: str = ""
) -> None:
    runs = FlowRunFilter.model_validate({"id": {"any_": [flow_run_id]}})
    wanted = {"state": {"type": {"any_": OPEN}}} | ({"name": {"like_": name}} if name else {})
    still_open = TaskRunFilter.model_validate(wanted)
    for task in await api.read_task_runs(flow_run_filter=runs, task_run_filter=still_open):
        state: Any = Cancelled(message=GONE) if cancelled else Crashed(message=GONE)
        await api.set_task_run_state(task.id, state, force=True)


async def _close_run(api: PrefectClient, run_id: UUID, *, cancelled: bool) -> None:
    state: Any = Cancelled(message=GONE) if cancelled else Crashed(message=GONE)
    await api.set_flow_run_state(run_id, state, force=True)
