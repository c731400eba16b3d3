"""The work pools from which workers take runs."""

import copy
import os
from collections.abc import Mapping
from typing import Any

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.objects import WorkPool
from prefect.exceptions import ObjectNotFound
from prefect.workers.process import ProcessWorker

from deployments.change import Change

KIND = "work pool"
LOCAL, GPU = "longform-local", "longform-gpu"
POOLS = {
    LOCAL: "Runs on the machines of its workers, each with a cluster of its own.",
    GPU: "Runs on machines with GPUs, or beside the scheduler of a GPU cluster.",
}
# Of the settings, those that say where things are; a worker's machine may differ in the others.
SETTINGS = (
    "CLUSTER",
    "CHUNK_STORE",
    "WORK_STORE",
    "OUTPUT_DIR",
    "ENGINE",
    "ENGINE_URL",
    "WEBHOOK_ALLOW_PRIVATE_HOSTS",
)
# Docker and Kubernetes pools have another type and are made by hand; those are kept as they are.
TYPE = "process"


async def apply_pools(
    api: PrefectClient, secrets: Mapping[str, str], *, dry_run: bool
) -> list[Change]:
    """Make the pools; give their runs the settings of this environment, and its secrets.

    Args:
        secrets: variables of runs, with references to blocks. The worker puts the values in when
            it starts a run, so that they are in no deployment and no run.
    """
    return [
        await _apply_pool(api, name, {**run_settings(name, os.environ), **secrets}, dry_run=dry_run)
        for name in POOLS
    ]


def run_settings(pool: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that runs of a pool get, as far as this environment has them.

    For the GPU pool `LONGFORM_GPU_CLUSTER` comes before `LONGFORM_CLUSTER`, and so on.
    """
    found = {}
    for name in SETTINGS:
        own = environment.get(f"LONGFORM_GPU_{name}") if pool == GPU else None
        if value := own or environment.get(f"LONGFORM_{name}"):
            found[f"LONGFORM_{name}"] = value
    return found


async def _apply_pool(
    api: PrefectClient, name: str, environment: Mapping[str, str], *, dry_run: bool
) -> Change:
    try:
        pool = await api.read_work_pool(name)
    except ObjectNotFound:
        template = with_environment(ProcessWorker.get_default_base_job_template(), environment)
        wanted = WorkPoolCreate(
            name=name, type=TYPE, description=POOLS[name], base_job_template=template
        )
        if not dry_run:
            await api.create_work_pool(wanted)
        return Change(KIND, name, "created", TYPE)
    template = with_environment(_template(pool), environment)
    update = WorkPoolUpdate(description=pool.description or POOLS[name], base_job_template=template)
    if (pool.description, pool.base_job_template) == (update.description, template):
        return Change(KIND, name, "unchanged", pool.type)
    if not dry_run:
        await api.update_work_pool(name, update)
    return Change(KIND, name, "changed", pool.type)


def _template(pool: WorkPool) -> dict[str, Any]:
    # A pool that was made through the API alone has none.
    return pool.base_job_template or ProcessWorker.get_default_base_job_template()


def with_environment(template: dict[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Return a base job template whose runs have these variables, beside those it gives them."""
    if not environment:
        return template
    merged = copy.deepcopy(template)
    variables = merged["variables"]["properties"]
    field = variables.setdefault("env", {"type": "object"})
    field["default"] = {**(field.get("default") or {}), **environment}
    return merged
