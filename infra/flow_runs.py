"""Recent runs of our flows, as the Prefect server in force knows them."""

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from longform.params import FrozenModel

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

FLOWS = ("transcribe", "reprocess")
# Ours for Prefect's; a state of any other name is shown as it is.
STATES: Mapping[str, str] = MappingProxyType(
    {
        "Completed": "complete",
        "CompleteWithDamage": "complete_with_damage",
        "Cancelled": "stopped",
        "Crashed": "killed",
    }
)


class ServerRun(FrozenModel):
    """A flow run on the server; its name ends with that of the recording."""

    run_id: str
    flow: str
    source_name: str
    state: str
    started_at_unix_sec: float
    run_url: str


def recent_flow_runs(limit: int) -> Sequence[ServerRun]:
    """Return at most `limit` runs, the newest first; the server in force must answer."""
    return asyncio.run(_recent(limit))


async def _recent(limit: int) -> Sequence[ServerRun]:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowFilter, FlowFilterName
    from prefect.client.schemas.sorting import FlowRunSort

    async with get_client() as api:
        ours = FlowFilter(name=FlowFilterName(any_=[*FLOWS]))
        names = {flow.id: flow.name for flow in await api.read_flows(flow_filter=ours)}
        if not names:
            return ()
        found = await api.read_flow_runs(
            flow_filter=ours, limit=limit, sort=FlowRunSort.EXPECTED_START_TIME_DESC
        )
    return [_server_run(run, names.get(run.flow_id, "")) for run in found]


def _server_run(run: "FlowRun", flow: str) -> ServerRun:
    from prefect.utilities.urls import url_for

    began = run.start_time or run.expected_start_time or run.created
    state = run.state_name or "unknown"
    return ServerRun(
        run_id=str(run.id),
        flow=flow,
        source_name=run.name.removeprefix(f"{flow} "),
        state=STATES.get(state, state.lower()),
        started_at_unix_sec=began.timestamp() if began else 0.0,
        run_url=url_for("flow-run", obj_id=run.id) or "",
    )
