"""Variables of the server that `prefect.yaml` refers to: what differs between environments."""

import os
from dataclasses import dataclass

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import VariableCreate, VariableUpdate

from deployments.change import Change
from deployments.pools import LOCAL
from longform.settings import Settings

KIND = "variable"
TAGS = ["longform"]


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable; `default` is its first value, and the environment variable changes it."""

    name: str
    default: str

    @property
    def environment_variable(self) -> str:
        """The variable of this process that gives another value: LONGFORM_TIMEZONE, ..."""
        return self.name.upper()


def variables(settings: Settings) -> tuple[Variable, ...]:
    """Return the variables, with defaults that work on one machine."""
    return (
        Variable("longform_timezone", "UTC"),
        Variable("longform_nightly_pool", LOCAL),
        Variable("longform_nightly_glob", str(settings.home.absolute() / "recordings" / "**")),
    )


async def apply_variables(api: PrefectClient, settings: Settings, *, dry_run: bool) -> list[Change]:
    """Make the variables; one that is there is changed only where the environment says so."""
    return [await _apply(api, variable, dry_run=dry_run) for variable in variables(settings)]


async def _apply(api: PrefectClient, variable: Variable, *, dry_run: bool) -> Change:
    given = os.environ.get(variable.environment_variable) or None
    there = await api.read_variable_by_name(variable.name)
    if there is None:
        value = given or variable.default
        if not dry_run:
            await api.create_variable(VariableCreate(name=variable.name, value=value, tags=TAGS))
        return Change(KIND, variable.name, "created", value)
    if given is None or given == there.value:
        return Change(KIND, variable.name, "unchanged", str(there.value))
    if not dry_run:
        await api.update_variable(VariableUpdate(name=variable.name, value=given))
    return Change(KIND, variable.name, "changed", given)
