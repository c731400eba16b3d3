"""What the server does by itself when a run fails, or ends without telling it.

They apply to runs of our deployments alone: a run that was started by hand sends its heartbeats
less often, and would be taken for dead.
"""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

from deployments.change import Change

KIND = "automation"
TAG = "longform"  # of the runs of our deployments
ANY_RUN = {"prefect.resource.id": "prefect.flow-run.*"}
HEARTBEAT = "prefect.flow-run.heartbeat"
# Every change of state counts as a sign of life; an ended run sends no heartbeat, and needs none.
# By wildcard, because states have names of their own (CompleteWithDamage).
SIGNS_OF_LIFE = "prefect.flow-run.*"
# Spelled out: Prefect puts a bare "{{ ... }}" through `tojson`, which takes no UUID.
RUN_ID = {"__prefect_kind": "jinja", "template": "{{ flow_run.id }}"}
ZOMBIE_AFTER_SEC = 90  # three heartbeats
MIN_ZOMBIE_AFTER_SEC = 35  # one heartbeat, and the time on its way


def crash_zombies(after_sec: int) -> AutomationCore:
    """Return what marks runs as crashed that have sent no heartbeat for `after_sec` seconds."""
    return AutomationCore(
        name="longform: mark dead runs as crashed",
        description=(
            f"A run without a heartbeat for {after_sec} s has lost its process: it is marked as "
            "Crashed, so that it holds no slot and can be retried."
        ),
        trigger=EventTrigger(
            after={HEARTBEAT},
            expect={SIGNS_OF_LIFE},
            match=ResourceSpecification.model_validate(ANY_RUN),
            match_related=ResourceSpecification.model_validate(
                {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{TAG}"}
            ),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=after_sec),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                message=f"No heartbeat for {after_sec} s: its process is gone. Retry the run.",
            )
        ],
    )


def notify_of_failures(deployments: Collection[UUID], notify: UUID) -> AutomationCore:
    """Return what starts the deployment `notify` whenever a run of `deployments` fails."""
    return AutomationCore(
        name="longform: tell of failed runs",
        description=(
            "Another run tells the webhook of a run that failed or crashed, whose own process may "
            "be gone."
        ),
        trigger=EventTrigger(
            expect={SIGNS_OF_LIFE},
            match=ResourceSpecification.model_validate(
                {**ANY_RUN, "prefect.state-type": ["FAILED", "CRASHED"]}
            ),
            match_related=ResourceSpecification.model_validate(
                {
                    "prefect.resource.role": "deployment",
                    "prefect.resource.id": sorted(
                        f"prefect.deployment.{each}" for each in deployments
                    ),
                }
            ),
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[
            RunDeployment(
                source="selected",
                deployment_id=notify,
                parameters={"flow_run_id": RUN_ID},
            )
        ],
    )


async def apply_automation(
    api: PrefectClient,
    wanted: AutomationCore,
    *,
    enabled: bool,
    enable_now: bool = False,
    dry_run: bool,
) -> Change:
    """Make an automation, or bring the one of that name up to date.

    Args:
        enabled: whether a new one is active; one that the operator has paused stays paused,
        enable_now: unless this is what it was waiting for.
    """
    found = await api.read_automations_by_name(wanted.name)
    if not found:
        if not dry_run:
            await api.create_automation(wanted.model_copy(update={"enabled": enabled}))
        return Change(KIND, wanted.name, "created", "active" if enabled else "paused")
    there = found[0]
    wanted = wanted.model_copy(update={"enabled": there.enabled or enable_now})
    detail = "active" if wanted.enabled else "paused"
    if _essence(there) == _essence(wanted):
        return Change(KIND, wanted.name, "unchanged", detail)
    if not dry_run:
        # The client sends what was set, and the server takes no owner in an update.
        all_set = AutomationCore(**wanted.model_dump(exclude={"owner_resource"}))
        await api.update_automation(there.id, all_set)
    return Change(KIND, wanted.name, "changed", detail)


def _essence(automation: AutomationCore) -> dict[str, object]:
    fields = {"name", "description", "enabled", "trigger", "actions"}
    essence = automation.model_dump(include=fields)
    essence["trigger"].pop("id", None)
    return essence
