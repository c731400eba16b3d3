"""`prefect.yaml`: what is deployed from it, and what the server has that is no longer in it."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound

from deployments.change import Change
from longform.errors import EnvironmentFaultError

KIND, SCHEDULE_KIND = "deployment", "schedule"
LOG_TAIL_LINES = 5


@dataclass(frozen=True, slots=True)
class Declared:
    """One deployment of the file."""

    name: str  # flow/deployment
    slugs: frozenset[str]  # of its schedules


def read_declared(path: Path) -> tuple[Declared, ...]:
    """Return the deployments of a file. A flow has the name of its function, here.

    Raises:
        EnvironmentFaultError: there is no such file, or it declares no deployments.
    """
    try:
        document: dict[str, Any] = yaml.safe_load(path.read_text())
        return tuple(map(_declared, document["deployments"]))
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise EnvironmentFaultError(
            f"cannot read deployments from {path}: run this in the folder of prefect.yaml, or "
            "name the file with --prefect-file"
        ) from error


def _declared(entry: dict[str, Any]) -> Declared:
    flow = str(entry["entrypoint"]).replace(":", ".").rsplit(".", 1)[1]
    slugs = (schedule.get("slug") for schedule in entry.get("schedules") or ())
    return Declared(f"{flow}/{entry['name']}", frozenset(filter(None, slugs)))


def deploy_all(path: Path) -> None:
    """Run `prefect deploy --all` with this interpreter.

    Raises:
        EnvironmentFaultError: it failed; with the end of its output.
    """
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run(
        [*command, "--prefect-file", path.name],
        cwd=path.absolute().parent,
        env=os.environ | {"NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        raise EnvironmentFaultError(
            f"`prefect deploy --all` failed: {' | '.join(said[-LOG_TAIL_LINES:])}"
        )


async def read_deployment(api: PrefectClient, name: str) -> DeploymentResponse | None:
    """Return the deployment of that name (flow/deployment), or None."""
    try:
        return await api.read_deployment_by_name(name)
    except ObjectNotFound:
        return None


def compare(
    name: str, before: DeploymentResponse | None, after: DeploymentResponse | None
) -> Change:
    """Return what became of a deployment."""
    if before is None:
        return Change(KIND, name, "created")
    same = after is not None and _essence(before) == _essence(after)
    return Change(KIND, name, "unchanged" if same else "changed")


def _essence(deployment: DeploymentResponse) -> dict[str, Any]:
    fields = {
        "concurrency_options",
        "description",
        "entrypoint",
        "global_concurrency_limit",
        "job_variables",
        "parameter_openapi_schema",
        "parameters",
        "tags",
        "work_pool_name",
        "work_queue_name",
    }
    essence = deployment.model_dump(mode="json", include=fields)
    essence["limit"] = (essence.pop("global_concurrency_limit") or {}).get("limit")
    essence["schedules"] = [
        (each.slug, each.schedule.model_dump(mode="json")) for each in deployment.schedules
    ]
    return essence


async def reconcile_schedules(
    api: PrefectClient,
    declared: Declared,
    before: DeploymentResponse | None,
    now: DeploymentResponse | None,
    *,
    dry_run: bool,
) -> list[Change]:
    """Remove schedules that an earlier version of the file made, and keep those made by hand.

    Those from a file have a slug. Prefect itself never removes them, but drops the ones by hand
    whenever a deployment has any.
    """
    if before is None or now is None:
        return []
    there = {schedule.id for schedule in now.schedules}
    changes = []
    for schedule in before.schedules:
        detail = f"{getattr(schedule.schedule, 'cron', None) or type(schedule.schedule).__name__}"
        if schedule.slug in declared.slugs:
            continue
        if schedule.slug is None:
            changes.append(Change(SCHEDULE_KIND, declared.name, "kept", f"{detail}, made by hand"))
            if schedule.id not in there:
                again = [(schedule.schedule, schedule.active)]
                await api.create_deployment_schedules(now.id, again)
            continue
        changes.append(
            Change(SCHEDULE_KIND, declared.name, "removed", f"{schedule.slug}, {detail}")
        )
        if schedule.id in there and not dry_run:
            await api.delete_deployment_schedule(now.id, schedule.id)
    return changes
