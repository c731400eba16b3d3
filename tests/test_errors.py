"""The tree of errors, its document, and the code that raises them say the same."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from longform import errors
from longform.errors import InputError, LongformError, RetryableError, SourceError
from tests.conftest import REPO_ROOT

DOCUMENT = REPO_ROOT / "docs" / "failures.md"
CODE = ("longform", "tasks", "flows", "infra", "cli")
TRANSLATIONS = ("exit_codes.py", "api_error.py")  # name errors, and raise none
ROW = re.compile(r"\| `(\w+)` \| .+ \| .+ \| .+ \| (retried|final) \|$")


def _classes() -> dict[str, type[LongformError]]:
    return {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, LongformError)
    }


def _leaves() -> set[str]:
    return {name for name, kind in _classes().items() if not kind.__subclasses__()}


def _rows() -> dict[str, str]:
    found = (ROW.match(line) for line in DOCUMENT.read_text().splitlines())
    return {match[1]: match[2] for match in found if match is not None}


def _made(tree: ast.AST) -> Iterator[str]:
    """Yield the names that are raised, called, or stand in a table at the top of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name):
            yield node.exc.id
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id
    assert isinstance(tree, ast.Module)
    for statement in tree.body:
        value = getattr(statement, "value", None)
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and value is not None:
            yield from (node.id for node in ast.walk(value) if isinstance(node, ast.Name))


@pytest.fixture(scope="module")
def raised() -> set[str]:
    """The errors of the tree that the code raises somewhere."""
    names: set[str] = set()
    for folder in CODE:
        for path in (REPO_ROOT / folder).rglob("*.py"):
            if path.name not in ("errors.py", *TRANSLATIONS):
                names |= set(_made(ast.parse(path.read_text())))
    return names & set(_classes()) - {"LongformError"}  # the base of types in tables


def test_every_leaf_is_raised_somewhere(raised: set[str]) -> None:
    """No error is only a name: remove it from errors.py and the document, or raise it."""
    unused = sorted(_leaves() - raised)
    assert not unused, f"nothing raises {', '.join(unused)}"


def test_the_document_has_exactly_what_can_be_raised(raised: set[str]) -> None:
    """docs/failures.md has a row for every leaf, and for inner classes that are raised as such."""
    needed, rows = _leaves() | raised, set(_rows())
    missing = "".join(
        f"\n| `{name}` | what it says | cause | remedy | "
        f"{'retried' if issubclass(_classes()[name], RetryableError) else 'final'} |"
        for name in sorted(needed - rows)
    )
    assert not missing, f"add rows like these to {DOCUMENT.name}:{missing}"
    assert not rows - needed, f"nothing raises {sorted(rows - needed)}: remove them"


def test_the_document_says_what_is_retried() -> None:
    """`retried` stands beside exactly the errors under RetryableError."""
    for name, said in _rows().items():
        retried = issubclass(_classes()[name], RetryableError)
        assert said == ("retried" if retried else "final"), name


def test_reasons_why_media_cannot_be_read_are_many_and_told_apart() -> None:
    """At least 20 leaves concern sources; retryable ones apart from final ones."""
    media = {
        name: kind
        for name, kind in _classes().items()
        if name in _leaves()
        and (issubclass(kind, (SourceError, RetryableError)) and name != "EngineUnavailableError")
    }
    assert len(media) >= 20
    for name, kind in media.items():
        assert issubclass(kind, RetryableError) != issubclass(kind, InputError), name


@pytest.mark.parametrize("folder", CODE)
def test_no_bare_base_class_is_raised(folder: str) -> None:
    """Nobody raises a class that only groups others: its message could not say what to do."""
    groups = {"LongformError", "RetryableError", "InputError", "SourceError"}
    for path in Path(REPO_ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                name = getattr(node.exc.func, "id", "")
                assert name not in groups, f"{path}:{node.lineno} raises {name}: take a leaf"
