"""The real validators of infrastructure files, offline: each returns what it finds wrong."""

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import check_jsonschema
import jsonschema
import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner

from tests.conftest import REPO_ROOT

INFRA = REPO_ROOT / "infra"
KUBERNETES_VERSION = "1.33"
TIMEOUT_SEC = 120
CRDS = "operator/deployment/helm/dask-kubernetes-operator/crds"


def hadolint(dockerfile: Path) -> list[str]:
    """Lint a Dockerfile."""
    return _run(_script("hadolint"), "--no-color", str(dockerfile))


def compose_schema(path: Path) -> list[str]:
    """Hold a compose file against the schema of the Compose specification."""
    done = CliRunner().invoke(
        check_jsonschema.main, ["--builtin-schema", "vendor.compose-spec", str(path)]
    )
    return [] if done.exit_code == 0 else done.output.splitlines() or [str(done.exit_code)]


def kustomize(folder: Path) -> list[dict[str, Any]]:
    """Build a kustomization with kubectl; skip where there is none.

    Raises:
        subprocess.CalledProcessError: it cannot be built.
    """
    program = shutil.which("kubectl")
    if program is None:
        # In continuous integration a validator that is missing is a fault.
        assert "LONGFORM_REQUIRE_VALIDATORS" not in os.environ, "there is no kubectl"
        pytest.skip("no kubectl here: install one of 1.27 or later")
    done = subprocess.run(
        [program, "kustomize", str(folder)],
        capture_output=True,
        text=True,
        check=True,
        timeout=TIMEOUT_SEC,
    )
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def kubernetes_schema(resource: dict[str, Any]) -> list[str]:
    """Hold a resource against the schema of its kind: Kubernetes' own, or the Dask operator's."""
    if resource["apiVersion"].startswith("kubernetes.dask.org/"):
        validator = jsonschema.Draft7Validator(dask_schema(resource["kind"]))
        return [
            f"{'.'.join(map(str, error.path))}: {error.message}"
            for error in validator.iter_errors(resource)
        ]
    try:
        kubernetes_validate.validate(resource, KUBERNETES_VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [error.message]
    except kubernetes_validate.SchemaNotFoundError as error:
        return [error.message]
    return []


@cache
def dask_schema(kind: str) -> dict[str, Any]:
    """Return the schema of a resource of the Dask operator, from the package that brings it."""
    text = files("dask_kubernetes").joinpath(f"{CRDS}/{kind.lower()}.yaml").read_text()
    definition = yaml.safe_load(text)
    schema: dict[str, Any] = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    top = schema["properties"]
    top |= {"apiVersion": {"type": "string"}, "kind": {"const": kind}, "metadata": {}}
    return _closed(schema)


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    # Kubernetes drops fields that it does not know; here they are errors, as misspelt they are.
    closed = {
        name: _closed(value) if isinstance(value, dict) else value for name, value in schema.items()
    }
    known = schema.get("properties")
    is_object = schema.get("type") == "object" and isinstance(known, dict)
    if is_object and "x-kubernetes-preserve-unknown-fields" not in schema:
        closed.setdefault("additionalProperties", False)
    return closed


def _script(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _run(*command: str) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_SEC)
    lines = (done.stdout + done.stderr).splitlines()
    return [] if done.returncode == 0 else lines or [json.dumps(done.returncode)]
