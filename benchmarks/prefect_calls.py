"""What the Prefect API of this process says of a flow run, with times."""

import os
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.support.prefect_reads import ask_server


@dataclass(frozen=True, slots=True)
class Stage:
    """A task run or a subflow run; seconds since the epoch."""

    name: str
    started_unix_sec: float
    ended_unix_sec: float


def found(what: str, **query: Any) -> list[dict[str, Any]]:
    """Return what the API finds: flow_runs, task_runs, artifacts."""
    url = os.environ["PREFECT_API_URL"]
    rows: list[dict[str, Any]] = ask_server(url, "POST", f"{what}/filter", query)
    return rows


def artifacts(run_id: str, key: str) -> list[dict[str, Any]]:
    """Return the artifacts of a flow run that have a key."""
    of_run = {"id": {"any_": [run_id]}}
    return found("artifacts", artifacts={"key": {"any_": [key]}}, flow_runs=of_run)


def states(run_id: str) -> dict[str, float]:
    """Return when a flow run came into each state, in seconds since the epoch."""
    url = os.environ["PREFECT_API_URL"]
    rows = ask_server(url, "GET", f"flow_run_states/?flow_run_id={run_id}")
    return {row["type"]: unix_sec(row["timestamp"]) for row in rows}


def task_runs(run_id: str) -> dict[str, Stage]:
    """Return the tasks of a flow run that have ended, by the first word of their names."""
    rows = found("task_runs", flow_runs={"id": {"any_": [run_id]}})
    stages = (_stage(row) for row in rows if row["start_time"] and row["end_time"])
    return {stage.name.split()[0]: stage for stage in stages}


def subflow_runs(run_id: str) -> list[Stage]:
    """Return the subflows of a flow run that have ended, in the order in which they did."""
    rows = found("flow_runs", flow_runs={"parent_flow_run_id": {"any_": [run_id]}})
    stages = (_stage(row) for row in rows if row["start_time"] and row["end_time"])
    return sorted(stages, key=lambda stage: stage.ended_unix_sec)


def _stage(row: dict[str, Any]) -> Stage:
    return Stage(row["name"], unix_sec(row["start_time"]), unix_sec(row["end_time"]))


def unix_sec(text: str) -> float:
    """Return a time of the API as seconds since the epoch."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
