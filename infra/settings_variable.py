"""Settings from a variable on the Prefect server, for the processes that flows run in.

The variable `longform_settings` is a JSON object with names and values of `Settings`. It stands
below the environment: what LONGFORM_* says on a machine is in force there.
"""

from collections.abc import Mapping
from typing import Any

from prefect.variables import Variable

from longform.errors import ParameterError
from longform.settings import SECRETS, Settings, is_in_environment, with_overrides

VARIABLE = "longform_settings"
# Variables are plain text for every user of the UI; `home` says which server to ask.
REFUSED = SECRETS | {"home"}


async def load_settings() -> Settings:
    """Return the settings that are in force: the environment over the variable over the defaults.

    Raises:
        ParameterError: the variable holds what no setting is.
    """
    return with_overrides(Settings(), **await settings_from_variable())


async def settings_from_variable() -> Mapping[str, str]:
    """Return what the variable sets and the environment does not, by name.

    Raises:
        ParameterError: the variable holds what no setting is.
    """
    found = as_environment(await Variable.aget(VARIABLE))
    return {name: value for name, value in found.items() if not is_in_environment(name)}


def as_environment(value: Any) -> Mapping[str, str]:
    """Return a value of the variable as texts by name of the setting, as the environment has them.

    Raises:
        ParameterError: it is no object, or names what is no setting or must not be there.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ParameterError(f"the Prefect variable {VARIABLE} must be a JSON object of settings")
    for name in value:
        if name not in Settings.model_fields or name in REFUSED:
            why = "must not be set there" if name in REFUSED else "is no setting"
            raise ParameterError(
                f"the Prefect variable {VARIABLE}: {name} {why}; `longform config` lists them"
            )
    given = {name: str(each) for name, each in value.items() if each is not None}
    try:
        with_overrides(Settings(), **given)
    except ParameterError as error:
        raise ParameterError(f"the Prefect variable {VARIABLE}: {error}") from error
    return given
