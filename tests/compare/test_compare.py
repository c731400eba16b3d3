"""Two transcripts against each other: figures, changes, and the files that they come from."""

import json
from itertools import pairwise
from pathlib import Path

import jiwer
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from typer.testing import CliRunner

from cli.main import app
from longform.compare.alignment import Comparison, compare
from longform.compare.comparison_report import changes, report_page, report_text
from longform.compare.reading import Text, Utterance, read_text
from longform.errors import ParameterError
from longform.transcript.formats import FORMATS
from longform.transcript.formats.rendering import Rendering
from tests.page.page_recordings import spoken, transcript

words = st.lists(st.sampled_from(["a", "b", "c", "dd", "ee"]), max_size=12)


def of(*texts: str) -> Text:
    """Return a text without times."""
    return Text("text", tuple(Utterance(text, None) for text in texts))


@given(words, words)
def test_figures_are_those_of_jiwer(a: list[str], b: list[str]) -> None:
    """Word errors are as many as another implementation finds."""
    assume(a)
    found = compare(of(" ".join(a)), of(" ".join(b)))
    reference = jiwer.process_words(" ".join(a), " ".join(b)) if b else None
    errors = found.substitutions + found.deletions + found.insertions
    assert errors == (len(a) if reference is None else round(reference.wer * len(a)))


@given(words, words)
def test_nothing_is_lost_in_the_alignment(a: list[str], b: list[str]) -> None:
    """The passages, put together, are both texts, and neighbours never say the same."""
    found = compare(of(*a), of(*b))
    assert [t.written for p in found.passages for t in p.before] == a
    assert [t.written for p in found.passages for t in p.after] == b
    kinds = [passage.kind == "equal" for passage in found.passages]
    assert all(x != y for x, y in pairwise(kinds))


def test_case_punctuation_and_apostrophes_do_not_count() -> None:
    """What is written differently and said alike is equal."""
    found = compare(of("“Don’t!”, she said; CAFÉ – no."), of("dont she said café no"))  # noqa: RUF001
    assert found.changes == ()
    assert found.word_error_rate == 0


def test_scripts_without_spaces_count_characters() -> None:
    """In Japanese each character is a word of its own."""
    found = compare(of("今日は晴れ"), of("今日は雨"))
    assert (found.num_words, found.substitutions, found.deletions) == (5, 1, 1)


def test_an_empty_reference_has_no_rate() -> None:
    """Words against nothing are infinitely wrong, and nothing against nothing is right."""
    assert compare(of(), of("x")).word_error_rate == float("inf")
    assert compare(of(), of("...")).word_error_rate == 0


def timed(comparison: Comparison) -> list[tuple[str, str, str, str]]:
    """Return kind, time, and the words of both texts."""
    return [(c.kind, c.start, c.before, c.after) for c in changes(comparison)]


def test_changes_have_their_place_and_surroundings(tmp_path: Path) -> None:
    """A transcript of ours against a reference says what changed, when, and amid what."""
    file = tmp_path / "talk.json"
    file.write_text(
        FORMATS["json"].render(Rendering(transcript(spoken(["one two three four", "five six"]))))
    )
    found = compare(of("one too three", "extra five six"), read_text(file))
    assert timed(found) == [
        ("replaced", "0:00", "too", "two"),
        ("replaced", "0:01", "extra", "four"),
    ]
    first = next(changes(found))
    assert (first.lead, first.trail) == ("one", "three")
    assert "[-too-]{+two+}" in report_text(found)


@pytest.mark.parametrize("name", ["json", "srt", "vtt", "txt"])
def test_every_format_of_ours_can_be_read(tmp_path: Path, name: str) -> None:
    """What longform writes compares as equal to itself, whichever format it is read from."""
    output = transcript(spoken(["One, two <b>three</b>", "four {five} 6 & seven"]))
    file = tmp_path / f"talk.{name}"
    file.write_text(FORMATS[name].render(Rendering(output)))
    said = of(*(segment.text for segment in output.segments))
    assert compare(said, read_text(file)).changes == ()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b"{}"),
        ("a.json", b"[1"),
        ("a.json", b'{"segments": [3]}'),
        ("a.srt", b"nothing"),
        ("a.txt", b"\xff\xfe"),
    ],
)
def test_files_that_are_no_transcripts_are_refused(
    tmp_path: Path, name: str, content: bytes
) -> None:
    """A file that is not what its name says ends in one line that says so."""
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(ParameterError, match=r"a\.\w+ is"):
        read_text(file)


def test_the_page_shows_markup_as_text() -> None:
    """Words with markup in them are escaped, and the page has no script at all."""
    page = report_page(compare(of("<script>alert(1)</script> same"), of("<img src=x> same")))
    assert "<script" not in page
    assert "<img" not in page
    assert "<del>&lt;script&gt;alert(1)&lt;/script&gt;</del>" in page


def test_the_command(tmp_path: Path) -> None:
    """The command prints the figures, writes the page, and has JSON for scripts."""
    a, b, page = tmp_path / "a.txt", tmp_path / "b.txt", tmp_path / "page.html"
    a.write_text("the quick brown fox")
    b.write_text("the quick red fox jumps")
    run = CliRunner().invoke(app, ["compare", str(a), str(b), "--html", str(page)])
    assert run.exit_code == 0
    assert "50.00 %" in run.output
    assert "<ins>jumps</ins>" in page.read_text()
    figures = json.loads(CliRunner().invoke(app, ["compare", str(a), str(b), "--json"]).output)
    assert figures["word_error_rate"] == 0.5
    assert (figures["substitutions"], figures["insertions"]) == (1, 1)
