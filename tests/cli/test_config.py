"""`longform config`: what is in force and where it comes from; and the Prefect variable."""

import json
import os
import subprocess
import sys

import pytest

from infra.prefect_api import ServerAddress
from infra.settings_variable import VARIABLE, as_environment
from longform.errors import ParameterError
from longform.settings import Settings
from tests.cli.conftest import Run


def test_every_setting_has_a_source(longform: Run) -> None:
    """Values and sources of all settings; secrets are masked, passwords in addresses left out."""
    done = longform(
        "config",
        "--json",
        "--params",
        LONGFORM_WORKERS="3",
        LONGFORM_ENGINE_API_KEY="HUSH",
        LONGFORM_ENGINE_URL="http://me:HUSH@host:8000",
        PREFECT_API_URL="http://127.0.0.1:9/api",
    )
    assert done.returncode == 0, done.stderr
    assert "HUSH" not in done.stdout + done.stderr
    told = json.loads(done.stdout)
    settings = told["settings"]
    assert list(settings) == list(Settings.model_fields)
    assert settings["workers"] == {"value": 3, "source": "environment LONGFORM_WORKERS"}
    assert settings["slots_per_worker"] == {"value": 2, "source": "default"}
    assert settings["engine_api_key"]["value"] == "********"
    assert settings["engine_url"]["value"] == "http://host:8000"
    assert settings["chunk_store"]["value"].endswith("longform-home/chunks")
    assert told["prefect"]["api_url"] == {
        "value": "http://127.0.0.1:9/api",
        "source": "environment PREFECT_API_URL",
    }
    assert told["parameters"]["vad.threshold"] == {"value": 0.5, "source": "default"}
    assert VARIABLE in done.stderr


@pytest.mark.server
def test_a_prefect_variable_stands_below_the_environment(
    longform_with_server: Run, prefect_server: ServerAddress
) -> None:
    """What only the variable sets comes from there; what the environment sets does not."""
    prefect = [sys.executable, "-m", "prefect", "variable"]
    value = json.dumps({"workers": 5, "slots_per_worker": 4, "subflows": False})
    environment = {"environment": prefect_server.environment()}
    run_prefect([*prefect, "set", VARIABLE, value], **environment)
    try:
        done = longform_with_server("config", "--json", LONGFORM_WORKERS="3")
        assert done.returncode == 0, done.stderr
    finally:
        run_prefect([*prefect, "delete", VARIABLE], **environment)
    told = json.loads(done.stdout)["settings"]
    source = "Prefect variable longform_settings"
    assert told["slots_per_worker"] == {"value": 4, "source": source}
    assert told["subflows"] == {"value": False, "source": source}
    assert told["workers"] == {"value": 3, "source": "environment LONGFORM_WORKERS"}


def run_prefect(command: list[str], environment: dict[str, str]) -> None:
    """Run a command of Prefect's."""
    subprocess.run(
        command, env=os.environ | environment, check=True, capture_output=True, timeout=120
    )


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("fast", "must be a JSON object"),
        ({"speed": 3}, "speed is no setting"),
        ({"engine_api_key": "x"}, "engine_api_key must not be set there"),
        ({"home": "/tmp"}, "home must not be set there"),
        ({"workers": 0}, "workers: "),
    ],
)
def test_a_variable_that_is_wrong_says_so(value: object, complaint: str) -> None:
    """What no setting is, what must stay secret and what is out of bounds are refused by name."""
    with pytest.raises(ParameterError, match=complaint) as caught:
        as_environment(value)
    assert VARIABLE in str(caught.value)
    assert as_environment(None) == {}
