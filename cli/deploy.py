"""`longform deploy`: one command that sets up a Prefect server for longform, or updates it."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from longform.settings import Settings

if TYPE_CHECKING:
    from deployments.change import Change

COLOURS = {"created": "green", "changed": "yellow", "removed": "red", "kept": "cyan"}


def deploy(
    prefect_file: Annotated[Path, typer.Option(help="What is deployed.", show_default=True)] = Path(
        "prefect.yaml"
    ),
    zombie_after_sec: Annotated[
        int,
        typer.Option(min=35, help="A run without a heartbeat for so long is marked as crashed."),
    ] = 90,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")
    ] = False,
) -> None:
    """Create or update what runs need on the Prefect server; doing it again changes nothing.

    Work pools, queues with limits, variables, secrets, the deployments of prefect.yaml, and two
    automations: one marks runs as crashed whose process is gone, one tells the webhook of failed
    runs. Secrets are read from LONGFORM_WEBHOOK_URL, LONGFORM_WEBHOOK_SECRET and
    LONGFORM_SECRET_<VARIABLE>, such as LONGFORM_SECRET_AWS_SECRET_ACCESS_KEY.
    """
    from infra.prefect_server import ensure_server

    settings = Settings()
    address = ensure_server(settings.home)
    address.apply()
    from deployments.apply import apply

    changes = asyncio.run(
        apply(prefect_file, settings, zombie_after_sec=zombie_after_sec, dry_run=dry_run)
    )
    console = Console()
    console.print(table(changes, dry_run=dry_run))
    console.print(f"look at it: {address.ui_url}/deployments", highlight=False)
    if not dry_run:
        console.print("start a worker: prefect worker start --pool longform-local --type process")


def table(changes: "list[Change]", *, dry_run: bool) -> Table:
    """Return what was done, or would be, as a table."""
    shown = Table("", "what", "would be" if dry_run else "is", "")
    for column in shown.columns:
        column.overflow = "fold"
    for change in changes:
        colour = COLOURS.get(change.action, "dim")
        shown.add_row(change.kind, change.name, f"[{colour}]{change.action}[/]", change.detail)
    return shown
