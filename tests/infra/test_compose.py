"""The compose file: against the schema of its specification, and against itself."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.validators import INFRA, compose_schema

PATH = INFRA / "compose.yaml"
TEXT = PATH.read_text()
STORES = {"postgres", "redis"}  # images of others
SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|API_KEY|AUTH_STRING")


def references(document: dict[str, Any]) -> Iterator[str]:
    """Yield each name that a service uses and the file does not declare."""
    services = document["services"]
    for name, service in services.items():
        for needed in service.get("depends_on", {}):
            if needed not in services:
                yield f"{name} depends on {needed}"
        for kind in ("networks", "secrets"):
            for used in service.get(kind, ()):
                if used not in document[kind]:
                    yield f"{name} uses {kind} {used}"
        for volume in service.get("volumes", ()):
            if volume.split(":")[0] not in document["volumes"]:
                yield f"{name} uses volume {volume}"


def test_it_follows_the_specification() -> None:
    """The schema of the Compose specification accepts it, and every name in it is declared."""
    assert compose_schema(PATH) == []
    assert list(references(yaml.safe_load(TEXT))) == []


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ('    volumes: ["redis:/data"]', '    volume: ["redis:/data"]', "volume"),
        ("profiles: [cpu]", "profiles: cpu", "profiles"),
        ("condition: service_healthy", "condition: healthy", "healthy"),
        ("capabilities: [gpu]", "capabilities: gpu", "capabilities"),
        ("cap_drop: [ALL]", "cap_drop: ALL", "cap_drop"),
    ],
)
def test_the_schema_finds_what_is_wrong(
    tmp_path: Path, right: str, wrong: str, message: str
) -> None:
    """Each planted fault is reported, with the place."""
    assert right in TEXT
    (tmp_path / "compose.yaml").write_text(TEXT.replace(right, wrong, 1))
    assert message in "\n".join(compose_schema(tmp_path / "compose.yaml"))


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("dask-scheduler: {condition", "dask-boss: {condition", "depends on dask-boss"),
        ("secrets: [postgres_password]", "secrets: [pg]", "uses secrets pg"),
        ("- blocks:/blocks", "- blacks:/blocks", "uses volume blacks:/blocks"),
        ("networks: [longform]", "networks: [lan]", "uses networks lan"),
    ],
)
def test_a_name_that_nothing_declares_is_found(right: str, wrong: str, message: str) -> None:
    """What the schema cannot see, the check of names does."""
    document = yaml.safe_load(TEXT.replace(right, wrong, 1))
    assert any(message in found for found in references(document))


def test_nothing_of_ours_runs_with_rights_it_does_not_need() -> None:
    """Our services write to volumes alone, hold no capability and cannot gain any."""
    for name, service in yaml.safe_load(TEXT)["services"].items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        if name not in STORES:
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), f"{name} is open to the network"


def test_no_secret_stands_in_it() -> None:
    """Passwords and keys come from files beside it, which git does not keep."""
    document = yaml.safe_load(TEXT)
    for name, service in document["services"].items():
        for variable in service.get("environment", {}):
            is_secret = SECRET_NAME.search(variable) and not variable.endswith("_FILE")
            assert not is_secret, f"{name}: {variable}"
    assert all(secret["file"].startswith("./secrets/") for secret in document["secrets"].values())
    assert "/infra/secrets/" in (INFRA.parent / ".gitignore").read_text().splitlines()


def test_gpu_services_reserve_a_gpu_and_cpu_services_none() -> None:
    """The GPU worker and the model service ask for one device; the CPU profile for none."""
    services = yaml.safe_load(TEXT)["services"]
    for name, service in services.items():
        reserved = service.get("deploy", {}).get("resources", {}).get("reservations", {})
        devices = [each["capabilities"] for each in reserved.get("devices", ())]
        asked = [["gpu"]] if name in ("dask-worker-gpu", "model-service") else []
        assert devices == asked, name
        if asked:
            assert service["image"] == "longform:cuda"
