"""`longform config`: every setting that is in force, and where it comes from."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer
from pydantic import BaseModel, SecretStr
from rich.console import Console
from rich.table import Table
from rich.text import Text

from longform.net.policy import redact
from longform.params import FrozenModel, TranscribeParams
from longform.settings import Settings, is_in_environment, variable_name, with_overrides

DEFAULT = "default"
MASK = "********"
WIDE = 160  # columns where there is no terminal
# Settings whose default follows from others.
DERIVED = {
    "chunk_store": "chunk_store_url",
    "work_store": "work_store_url",
    "block_dir": "block_dir_path",
}
NO_SERVER = "no Prefect server answers, so its variable longform_settings is not read"


class ConfigLine(FrozenModel):
    """A name, its value in force as people may see it, and where that comes from."""

    name: str
    value: str | int | float | bool | None
    source: str


def config(
    show_params: Annotated[
        bool, typer.Option("--params", help="Also the parameters of a run and their defaults.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show the settings in force, and where each comes from.

    An option of a command stands above the environment, that above the Prefect variable
    longform_settings, and that above the default. Secrets are masked.

    Examples:

      longform config

      longform config --params --json | jq .parameters

      prefect variable set longform_settings '{"slots_per_worker": 3}'
    """
    variable, note = read_variable(Settings())
    parts = {
        "settings": setting_lines(variable),
        "prefect": prefect_lines(),
        "parameters": list(parameter_lines(TranscribeParams())) if show_params else [],
    }
    if as_json:
        document = {
            part: {line.name: {"value": line.value, "source": line.source} for line in lines}
            for part, lines in parts.items()
        }
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        console = Console(highlight=False)
        console = console if console.is_terminal else Console(width=WIDE, highlight=False)
        for lines in filter(None, parts.values()):
            console.print(config_table(lines), "")
    if note:
        typer.echo(note, err=True)


def read_variable(settings: Settings) -> tuple[Mapping[str, str], str]:
    """Return what the Prefect variable sets, and a note where no server answers."""
    from infra.prefect_server import server_status

    status = server_status(settings.home)
    if status.address is None or not status.running:
        return {}, NO_SERVER
    status.address.apply()
    import asyncio

    from infra.settings_variable import settings_from_variable

    return asyncio.run(settings_from_variable()), ""


def setting_lines(variable: Mapping[str, str]) -> list[ConfigLine]:
    """Return the settings that are in force, with those that `variable` sets."""
    settings = with_overrides(Settings(), **variable)
    return [
        ConfigLine(
            name=name,
            value=_shown(getattr(settings, DERIVED.get(name, name))),
            source=_source(name, variable),
        )
        for name in Settings.model_fields
    ]


def prefect_lines() -> list[ConfigLine]:
    """Return which Prefect API a run would use, and who says so."""
    from infra.prefect_api import address_source
    from infra.prefect_server import server_status

    source = address_source(os.environ)
    address = server_status(Settings().home).address
    if source is None:
        source = DEFAULT if address is None else "longform server"
    value = "none: a run starts one" if address is None else redact(address.api_url)
    return [ConfigLine(name="api_url", value=value, source=source)]


def parameter_lines(params: BaseModel, prefix: str = "") -> Iterator[ConfigLine]:
    """Return the parameters of a run with their defaults, nested ones by dotted names."""
    for name, value in params:
        if isinstance(value, BaseModel):
            yield from parameter_lines(value, f"{prefix}{name}.")
        else:
            yield ConfigLine(name=f"{prefix}{name}", value=_shown(value), source=DEFAULT)


def config_table(lines: list[ConfigLine]) -> Table:
    """Return lines as a table; what is not a default stands out."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("name", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("from", overflow="fold")
    for line in lines:
        style = "dim" if line.source == DEFAULT else "bold"
        value = "" if line.value is None else str(line.value)
        table.add_row(line.name, Text(value, style=style), Text(line.source, style=style))
    return table


def _source(name: str, variable: Mapping[str, str]) -> str:
    if name in variable:
        return "Prefect variable longform_settings"
    return f"environment {variable_name(name)}" if is_in_environment(name) else DEFAULT


def _shown(value: Any) -> str | int | float | bool | None:
    if isinstance(value, SecretStr):
        return MASK
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return redact(str(value))
