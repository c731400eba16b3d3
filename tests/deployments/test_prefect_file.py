"""`prefect.yaml` agrees with what is created around it."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.automations import TAG, ZOMBIE_AFTER_SEC
from deployments.pools import POOLS
from deployments.prefect_file import read_declared
from deployments.variables import variables
from deployments.work_queues import QUEUES
from longform.errors import EnvironmentFaultError
from longform.settings import Settings
from tests.conftest import REPO_ROOT

PATH = REPO_ROOT / "prefect.yaml"
DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load(PATH.read_text())["deployments"]
VARIABLES = {each.name: each.default for each in variables(Settings())}


def resolved(value: str) -> str:
    """Return a text of the file with the variables at their defaults."""
    for name, default in VARIABLES.items():
        value = value.replace(f"{{{{ prefect.variables.{name} }}}}", default)
    return value


@pytest.mark.parametrize("entry", DEPLOYMENTS, ids=lambda entry: entry["name"])
def test_what_a_deployment_names_is_there(entry: dict[str, Any]) -> None:
    """Its flow can be imported under the name it is called by; pool, queue, variables exist."""
    module, function = entry["entrypoint"].rsplit(".", 1)
    flow = getattr(import_module(module), function)
    assert flow.name == function
    assert resolved(entry["work_pool"]["name"]) in POOLS
    queue = entry["work_pool"].get("work_queue_name")
    assert queue is None or queue in {each.name for each in QUEUES}
    assert "prefect.variables" not in resolved(yaml.safe_dump(entry))
    assert set(entry["parameters"]) <= set(flow.parameters.properties)


@pytest.mark.parametrize("entry", DEPLOYMENTS, ids=lambda entry: entry["name"])
def test_runs_that_are_watched_send_heartbeats(entry: dict[str, Any]) -> None:
    """Who has the tag of the automation sends heartbeats at least twice in its time."""
    if TAG in entry["tags"]:
        environment = entry["work_pool"]["job_variables"]["env"]
        assert 2 * int(environment["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"]) < ZOMBIE_AFTER_SEC


def test_every_schedule_has_a_slug_and_a_zone() -> None:
    """Without a slug a schedule could not be told from one made by hand; nights need a zone."""
    schedules = [each for entry in DEPLOYMENTS for each in entry["schedules"]]
    assert schedules
    assert all(each["slug"] and each["timezone"] for each in schedules)
    declared = {each.name: each.slugs for each in read_declared(PATH)}
    assert declared["reprocess/nightly"] == {"nightly", "weekly"}


@pytest.mark.parametrize("content", [None, "", "name: x", "a: [", "deployments: [{name: x}]"])
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: str | None) -> None:
    """The message says what to do."""
    path = tmp_path / "prefect.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(EnvironmentFaultError, match="--prefect-file"):
        read_declared(path)
