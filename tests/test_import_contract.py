"""The import contract: kept by the code, and a check that can fail."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPO_ROOT = Path(__file__).resolve().parents[1]
CONFIGURATION = tomllib.loads((REPO_ROOT / "pyproject.toml").read_text())
CONTRACTS = CONFIGURATION["tool"]["importlinter"]["contracts"]
LAYERS = [
    name
    for contract in CONTRACTS
    if contract.get("containers") == ["longform"]
    for layer in contract["layers"]
    for name in layer.split(" | ")
]
PACKAGES = ("longform", "tasks", "flows", "infra", "deployments", "cli")


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter with the pyproject.toml and on the packages of `folder`."""
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from importlinter.cli import lint_imports_command; "
            "sys.exit(lint_imports_command())",
            "--no-cache",
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_code_keeps_the_contract() -> None:
    """Imports point one way, and the domain knows no Prefect and no Dask."""
    result = check(REPO_ROOT)
    assert result.returncode == 0, result.stdout
    assert " 0 broken" in result.stdout


@pytest.fixture
def small_house(tmp_path: Path) -> Path:
    """Return a folder with the same contract and the same packages, all of them empty."""
    (tmp_path / "pyproject.toml").write_text((REPO_ROOT / "pyproject.toml").read_text())
    for package in PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
    for layer in LAYERS:
        package = tmp_path / "longform" / layer
        package.mkdir()
        (package / "__init__.py").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("longform", "import tasks", "Imports point one way"),
        ("tasks", "import flows", "Imports point one way"),
        ("infra", "import flows", "Imports point one way"),
        ("flows", "import cli", "Imports point one way"),
        ("longform", "def f(): import prefect", "The domain knows no Prefect"),
        ("longform", "from distributed import Client", "The domain knows no Prefect"),
        ("tasks", "import infra", "Tasks and infrastructure"),
        ("infra", "import tasks", "Tasks and infrastructure"),
        ("longform/speech", "import longform.pipeline", "Inside longform, too"),
        ("longform/net", "import longform.media", "Inside longform, too"),
    ],
)
def test_a_wrong_import_breaks_the_contract(
    small_house: Path, module: str, line: str, contract: str
) -> None:
    """Each rule is broken on purpose once, in a house that otherwise keeps them all."""
    (small_house / module / "wrong.py").write_text(f"{line}\n")
    require_broken(small_house, contract)


def require_broken(house: Path, contract: str) -> None:
    """Fail unless that contract is among the broken ones."""
    result = check(house)
    assert result.returncode == 1, result.stdout
    broken = [found for found in result.stdout.splitlines() if found.endswith("BROKEN")]
    assert any(contract in found for found in broken), result.stdout


def test_a_circle_breaks_the_contract(small_house: Path) -> None:
    """Two modules that import each other are found, wherever they are."""
    for one, other in (("first", "second"), ("second", "first")):
        module = small_house / "longform" / "media" / f"{one}.py"
        module.write_text(f"import longform.media.{other}\n")
    require_broken(small_house, "imports in a circle")


def test_an_empty_house_keeps_the_contract(small_house: Path) -> None:
    """What breaks above is the line that was added, and nothing else."""
    result = check(small_house)
    assert result.returncode == 0, result.stdout
