"""Everything that a Prefect server needs for longform, in the order in which it needs it."""

from collections.abc import Collection
from pathlib import Path
from typing import Literal
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client

from deployments import automations
from deployments.blocks import apply_blocks, secret_environment
from deployments.change import Change
from deployments.pools import apply_pools
from deployments.prefect_file import (
    Declared,
    compare,
    deploy_all,
    read_declared,
    read_deployment,
    reconcile_schedules,
)
from deployments.variables import apply_variables
from deployments.work_queues import apply_work_queues
from infra.secret_blocks import WEBHOOK_URL, webhook_target
from longform.settings import Settings
from longform.webhook.deliver import WebhookTarget
from longform.webhook.signature import parse_keys

Notifies = Literal["never", "from now on", "as before"]

NOTIFY = "notify/failure"
NOT_YET = UUID(int=0)  # stands for a deployment in a dry run


async def apply(
    prefect_file: Path, settings: Settings, *, zombie_after_sec: int, dry_run: bool
) -> list[Change]:
    """Create or update everything; doing it again changes nothing.

    Args:
        prefect_file: the `prefect.yaml` to deploy.
        zombie_after_sec: after how long without a heartbeat a run counts as dead.
        dry_run: only find out what would be done.

    Raises:
        ParameterError: a webhook without a key that can sign.
        EnvironmentFaultError: the file cannot be read, or `prefect deploy --all` failed.
    """
    declared = read_declared(prefect_file)
    target = await webhook_target(settings)
    if target is not None:
        parse_keys(target.signing_keys)
    async with get_client() as api:
        secrets = await apply_blocks(dry_run=dry_run)
        references = await secret_environment(api, secrets)
        return [
            *await apply_pools(api, references, dry_run=dry_run),
            *await apply_work_queues(api, dry_run=dry_run),
            *await apply_variables(api, settings, dry_run=dry_run),
            *secrets,
            *await _apply_deployments(api, prefect_file, declared, dry_run=dry_run),
            *await _apply_automations(
                api,
                declared,
                zombie_after_sec,
                notifies=webhook_use(target, secrets),
                dry_run=dry_run,
            ),
        ]


def webhook_use(target: WebhookTarget | None, secrets: Collection[Change]) -> Notifies:
    """Return whether the webhook is told how runs end, and whether that begins now."""
    if target is None:
        return "never"
    is_new = any(each.name == WEBHOOK_URL and each.action == "created" for each in secrets)
    return "from now on" if is_new else "as before"


async def _apply_deployments(
    api: PrefectClient, path: Path, declared: tuple[Declared, ...], *, dry_run: bool
) -> list[Change]:
    before = {each.name: await read_deployment(api, each.name) for each in declared}
    if not dry_run:
        deploy_all(path)
    changes = []
    for each in declared:
        now = await read_deployment(api, each.name)
        changes.append(compare(each.name, before[each.name], now))
        changes += await reconcile_schedules(api, each, before[each.name], now, dry_run=dry_run)
    return changes


async def _apply_automations(
    api: PrefectClient,
    declared: tuple[Declared, ...],
    zombie_after_sec: int,
    *,
    notifies: Notifies,
    dry_run: bool,
) -> list[Change]:
    zombies = automations.crash_zombies(zombie_after_sec)
    changes = [await automations.apply_automation(api, zombies, enabled=True, dry_run=dry_run)]
    names = {each.name for each in declared}
    found = {each.name: await read_deployment(api, each.name) for each in declared}
    notify = found.pop(NOTIFY, None)
    if notify is not None or (dry_run and NOTIFY in names):
        runs = [deployment.id for deployment in found.values() if deployment is not None]
        notification = automations.notify_of_failures(runs, notify.id if notify else NOT_YET)
        changes.append(
            await automations.apply_automation(
                api,
                notification,
                enabled=notifies != "never",
                enable_now=notifies == "from now on",
                dry_run=dry_run,
            )
        )
    return changes
