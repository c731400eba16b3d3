"""The page of the documentation that lists every option."""

import subprocess
import sys

from tests.conftest import REPO_ROOT


def test_the_page_of_the_command_is_up_to_date() -> None:
    """docs/command.md says what `--help` says; `make command-page` writes it anew."""
    generator = [sys.executable, "-m", "typer", "cli.main", "utils", "docs"]
    generated = subprocess.run(
        [*generator, "--name", "longform", "--title", "The command"],
        cwd=REPO_ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    assert (REPO_ROOT / "docs" / "command.md").read_text().strip() == generated.strip()
