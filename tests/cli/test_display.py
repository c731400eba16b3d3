"""The live line on a terminal."""

import io

import pytest
from rich.console import Console

from cli.display import LiveDisplay
from longform.progress import RunProgress


@pytest.mark.parametrize("text", ["[/red]", "[bold]a[/]", "[link=file:///x]y", "\\[", "plain"])
def test_names_and_words_are_no_markup(text: str) -> None:
    """What a recording is called, and what is said in it, is shown as it is."""
    console = Console(file=io.StringIO(), force_terminal=True, width=200)
    with LiveDisplay(console) as display:
        display.show(RunProgress(source_name=text, stage="transcribing", last_text=text))
    assert console.file.getvalue().count(text) >= 2
