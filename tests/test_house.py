"""What can be said of the repository's files without running them."""

import re
import sys
from collections import Counter
from pathlib import Path

REPO_ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("longform", "tasks", "flows", "infra", "deployments", "cli", "benchmarks", "tests")
DOCUMENTS = (
    *(REPO_ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *((REPO_ROOT / "docs" / name) for name in ("architecture.md", "extending.md")),
    *sorted((REPO_ROOT / "docs" / "decisions").glob("*.md")),
)
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


def test_documents_name_modules_that_are_there() -> None:
    """Where a page on the code sends its reader to a module, there is one."""
    there = [str(path) for package in PACKAGES for path in (REPO_ROOT / package).rglob("*.py")]
    named = {
        (document.name, module)
        for document in DOCUMENTS
        for module in re.findall(r"`([\w/]+\.py)[`: ]", document.read_text())
        if "NAME" not in module
    }
    assert [each for each in named if not any(path.endswith(f"/{each[1]}") for path in there)] == []


def test_links_lead_to_files() -> None:
    """No page in the root of the repository links to a file that has gone."""
    links = {
        (document, link)
        for document in DOCUMENTS
        for link in re.findall(r"\]\(([^)#:]+)[)#]", document.read_text())
    }
    assert [link for document, link in links if not (document.parent / link).exists()] == []
