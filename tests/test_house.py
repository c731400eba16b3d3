"""What can be said of the repository's files without running them."""

import sys
from collections import Counter
from pathlib import Path

REPO_ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("longform", "tasks", "flows", "infra", "deployments", "cli", "benchmarks", "tests")
EVERYWHERE = {"__init__.py", "__main__.py", "conftest.py"}  # names that Python or pytest asks for


def module_names() -> list[str]:
    """Return the file name of every module, but those that tools ask for by name."""
    found = [path.name for package in PACKAGES for path in (REPO_ROOT / package).rglob("*.py")]
    return [name for name in found if name not in EVERYWHERE]


def test_a_file_name_occurs_once() -> None:
    """A name that is searched for leads to one file."""
    assert [name for name, times in Counter(module_names()).items() if times > 1] == []


def test_no_file_is_named_like_the_standard_library() -> None:
    """No module can hide one of Python's own."""
    assert {Path(name).stem for name in module_names()} & sys.stdlib_module_names == set()
