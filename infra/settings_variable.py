"""Settings from a variable on the Prefect server, for the processes that flows run in.

The variable `longform_settings` is a JSON object with names and values of `Settings`. It stands
below the environment: what LONGFORM_* says on a machine is in force there.
"""

import os
from collections.abc import Mapping
from typing import Any

from prefect.variables import Variable

from longform.errors import ParameterError
from longform.settings import SECRETS, Settings, is_in_environment, variable_name, with_overrides

VARIABLE = "longform_settings"
# Variables are plain text for everybody who can open the UI; `home` says which server to ask.
REFUSED = SECRETS | {"home"}


async def apply_settings_variable() -> Mapping[str, str]:
    """Put what the variable sets, and the environment does not, into the environment.

    Returns:
        The settings that were taken from it, by name.

    Raises:
        ParameterError: the variable holds what no setting is.
    """
    taken = {
        name: value
        for name, value in as_environment(await Variable.aget(VARIABLE)).items()
        if not is_in_environment(name)
    }
    os.environ.update({variable_name(name): value for name, value in taken.items()})
    return taken


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
