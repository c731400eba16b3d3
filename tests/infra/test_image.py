"""The image: its Dockerfile, checked by hadolint, and what goes into it."""

import fnmatch
import re
import tomllib
from pathlib import Path

import pytest

from tests.conftest import REPO_ROOT
from tests.support.validators import INFRA, hadolint

DOCKERFILE = INFRA / "image" / "Dockerfile"


def test_the_dockerfile_is_clean() -> None:
    """The linter has nothing to say about it."""
    assert hadolint(DOCKERFILE) == []


@pytest.mark.parametrize(
    ("line", "planted", "rule"),
    [
        ("USER 10001:10001", "USER root", "DL3002"),
        ("FROM python:${PYTHON} AS source", "FROM python:latest AS source", "DL3007"),
        ("WORKDIR /source", "WORKDIR source", "DL3000"),
        ("RUN python -m venv /opt/longform", "RUN cd /opt && pip install wheel", "DL3003"),
        ("COPY prefect.yaml /srv", "COPPY prefect.yaml /srv", "unexpected 'C'"),
    ],
)
def test_the_linter_finds_what_is_wrong(tmp_path: Path, line: str, planted: str, rule: str) -> None:
    """Each planted fault is reported under its rule."""
    text = DOCKERFILE.read_text()
    assert line in text
    (tmp_path / "Dockerfile").write_text(text.replace(line, planted))
    found = "\n".join(hadolint(tmp_path / "Dockerfile"))
    assert rule in found


def test_everything_that_is_copied_exists_and_is_let_in() -> None:
    """What the image is built from is there, and its ignore file does not keep it out."""
    admitted = [
        line.removeprefix("!")
        for line in (INFRA / "image" / "Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE.read_text(), re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert {"pyproject.toml", "longform", "flows"} <= set(copied)
    for source in copied:
        assert (REPO_ROOT / source).exists(), source
        inside = f"{source}/any" if (REPO_ROOT / source).is_dir() else source
        assert any(fnmatch.fnmatch(inside, pattern) for pattern in admitted), source


def test_both_variants_install_what_exists() -> None:
    """The extras of both variants are extras of the project; only CUDA brings the GPU's."""
    project = tomllib.loads((REPO_ROOT / "pyproject.toml").read_text())["project"]
    variants = re.findall(r"'\.\[(.+)\]'", DOCKERFILE.read_text())
    extras = [set(variant.split(",")) for variant in variants]
    assert len(extras) == 2
    assert set().union(*extras) <= set(project["optional-dependencies"])
    assert extras[1] - extras[0] == {"gpu"}


def test_every_package_is_in_the_image() -> None:
    """A package that is installed with longform is copied before pip runs."""
    found = tomllib.loads((REPO_ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packages = [name.removesuffix("*") for name in found["packages"]["find"]["include"]]
    for package in packages:
        assert f"COPY {package} {package}" in DOCKERFILE.read_text()
