"""`longform clean`: remove what killed runs have left, and cached results that are old."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from longform.settings import Settings

MB = 1e6  # bytes
DAY_SEC = 86_400.0


def clean(
    cache_older_than_days: Annotated[
        float | None,
        typer.Option(min=0, help="Also remove cached results that were written so long ago."),
    ] = None,
    quarantine: Annotated[
        bool,
        typer.Option("--quarantine", help="Let chunks that killed their workers be tried again."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be removed, and remove nothing.")
    ] = False,
) -> None:
    """Remove what killed runs have left in the work store; runs that are going on are kept.

    Every run does this by itself for its own work store. Cached results are only removed
    where an age is given; a recording whose results are gone is transcribed again.

    Examples:

      longform clean --dry-run

      longform clean --cache-older-than-days 30
    """
    from longform.media.spool import work_roots
    from longform.pipeline.chunk_claims import DEATHS
    from longform.storage.cleanup import (
        find_leftovers,
        find_old_records,
        remove_leftover,
        remove_records,
    )

    settings = Settings()
    leftovers = [found for root in work_roots(settings) for found in find_leftovers(root)]
    max_age_sec = None if cache_older_than_days is None else cache_older_than_days * DAY_SEC
    records = find_old_records(settings.chunk_store_url, max_age_sec)
    deaths_url = f"{settings.chunk_store_url.rstrip('/')}/{DEATHS}"
    deaths = find_old_records(deaths_url, 0.0 if quarantine else None)
    if not dry_run:
        remove_records(deaths_url, deaths)
        for leftover in leftovers:
            remove_leftover(leftover)
        remove_records(settings.chunk_store_url, records)
    table = Table("", "would go" if dry_run else "removed", "MB")
    work_bytes = sum(leftover.num_bytes for leftover in leftovers)
    table.add_row("runs that were killed", str(len(leftovers)), f"{work_bytes / MB:.1f}")
    record_bytes = sum(record.num_bytes for record in records)
    table.add_row("cached results", str(len(records)), f"{record_bytes / MB:.1f}")
    if quarantine:
        table.add_row("chunks in quarantine", str(len(deaths)), "")
    Console().print(table)
