"""`longform runs`: what was transcribed lately, how it ended, and where its files are."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.completion import run_states
from cli.run_list import ListedRun, recent_runs
from cli.run_summary import link_of
from cli.run_view import minutes
from longform.settings import Settings

ID_CHARACTERS = 8
SCAN_LIMIT = 200  # runs that are looked through for those in a state; the most that Prefect gives
WIDE = 200  # columns where there is no terminal: a line for each run
DAY_SEC = 86_400.0
COLOURS = {
    "complete": "green",
    "complete_with_damage": "yellow",
    "running": "cyan",
    "stopped": "yellow",
}


def runs(
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=200, help="At most so many.")
    ] = 10,
    state: Annotated[
        str | None,
        typer.Option(
            help="Only those in this state: running, complete, complete_with_damage, incomplete, "
            "failed, stopped, killed.",
            autocompletion=run_states,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object for each run, a line each.")
    ] = False,
) -> None:
    """List recent runs, the newest first, with their state and their files.

    Runs note themselves in LONGFORM_HOME; where a Prefect server answers, its runs on other
    machines are listed too. None is started for it.

    Examples:

      longform runs

      longform runs --state failed --limit 50

      longform runs --json | jq -r '.files[]'
    """
    found, note = recent_runs(Settings(), limit if state is None else SCAN_LIMIT)
    shown = [run for run in found if state is None or run.state == state][:limit]
    if as_json:
        sys.stdout.write("".join(json.dumps(run.model_dump(mode="json")) + "\n" for run in shown))
        return
    if shown:
        console = Console() if sys.stdout.isatty() else Console(width=WIDE)
        console.print(runs_table(shown, time.time()))
    else:
        typer.echo("no runs" if state is None else f"no runs that are {state}")
    if note:
        typer.echo(note, err=True)


def runs_table(shown: list[ListedRun], now_unix_sec: float) -> Table:
    """Return the runs as a table; `now_unix_sec` tells today from other days."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("run", no_wrap=True)
    table.add_column("when", no_wrap=True)
    table.add_column("recording", overflow="ellipsis", no_wrap=True, min_width=12)
    table.add_column("state", no_wrap=True)
    table.add_column("audio", justify="right", no_wrap=True)
    table.add_column("speed", justify="right", no_wrap=True)
    table.add_column("files", overflow="fold")
    for run in shown:
        figures = run.figures
        table.add_row(
            run.run_id[:ID_CHARACTERS],
            when(run.started_at_unix_sec, now_unix_sec),
            Text(run.source_name),
            Text(run.state.replace("_", " "), style=COLOURS.get(run.state, "red")),
            minutes(figures.duration_sec) if figures else "",
            f"{figures.speed:.1f}×" if figures else "",
            _outcome(run),
        )
    return table


def when(unix_sec: float, now_unix_sec: float) -> str:
    """Return a time of today as such, of another day with the date; in the local time zone."""
    at, today = time.localtime(unix_sec), time.localtime(now_unix_sec)
    is_today = at[:3] == today[:3]
    return time.strftime("%H:%M" if is_today else "%Y-%m-%d %H:%M", at)


def _outcome(run: ListedRun) -> Text:
    """Return the folder with what is in it; of a run without files the reason."""
    if not run.files:
        return Text(run.error, style="dim")
    folder, stems = _folder(run.files[0]), [file.rpartition("/")[2] for file in run.files]
    first, *others = stems
    endings = [name.rpartition(".")[2] for name in others]
    text = Text(f"{folder}/{first}", style=f"link {link_of(run.files[0])}")
    return text.append(f" {' '.join(endings)}", style="dim") if endings else text


def _folder(file: str) -> str:
    """Return the folder of a file, as seen from here where it is below."""
    folder = file.rpartition("/")[0]
    if "://" in file or not Path(file).is_relative_to(Path.cwd()):
        return folder
    return os.path.relpath(folder)
