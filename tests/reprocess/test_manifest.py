"""Lists as files: what a row names, what it brings, and what is wrong with it."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longform.errors import ParameterError
from longform.reprocess.entry import Entry
from longform.reprocess.manifest import parse_manifest, parser_of, resolved
from longform.reprocess.rows import csv_rows, decoded, jsonl_rows, txt_rows

MARKED = ("utf-8-sig", "utf-16", "utf-32")
# Names without what ends a line or means something at its ends.
NAMES = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Zs"), exclude_characters="#"),
    min_size=1,
    max_size=30,
)


def entries(text: str | bytes, name: str) -> list[Entry]:
    """Parse a manifest of that name."""
    content = text.encode() if isinstance(text, str) else text
    return parse_manifest(content, name, parser_of(name))


@given(names=st.lists(NAMES, min_size=1, max_size=8), encoding=st.sampled_from((*MARKED, "utf-8")))
def test_every_encoding_with_a_mark_reads_the_same(names: list[str], encoding: str) -> None:
    """What was written as lines comes back, whatever the byte order mark says."""
    text = decoded("\r\n".join(names).encode(encoding))
    assert [row.source for row in txt_rows(text)] == names


@given(rows=st.lists(st.tuples(NAMES, st.none() | NAMES), min_size=1, max_size=8))
def test_what_is_written_as_json_lines_is_read(rows: list[tuple[str, str | None]]) -> None:
    """Sources, names and parameters survive, one line each."""
    lines = [
        json.dumps({"source": source, "name": name, "params": {"hotwords": name}})
        for source, name in rows
    ]
    found = [*jsonl_rows("\n".join(lines))]
    assert [(row.source, row.name) for row in found] == rows
    assert [row.params["hotwords"] for row in found] == [name for _, name in rows]
    assert [row.line for row in found] == [*range(1, len(rows) + 1)]


@given(rows=st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=8), mark=st.sampled_from(",;\t"))
def test_what_is_written_as_csv_is_read(rows: list[tuple[str, str]], mark: str) -> None:
    """Quoted cells come back, with whatever separator the column names have."""
    lines = [mark.join(("source", "hotwords"))]
    lines += [mark.join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row) for row in rows]
    found = [*csv_rows("\n".join(lines))]
    assert [(row.source, row.params["hotwords"]) for row in found] == rows


def test_comments_and_blank_lines_name_nothing() -> None:
    """In every format."""
    for name, head, row in (
        ("x.txt", "", "a.mp3"),
        ("x.csv", "source\n", "a.mp3"),
        ("x.jsonl", "", '"a.mp3"'),
    ):
        found = entries(f"{head}# a comment\n\n{row}\n\n", f"/lists/{name}")
        assert [each.media_url for each in found] == ["/lists/a.mp3"]


@pytest.mark.parametrize(
    ("manifest", "source", "address", "folder"),
    [
        ("/m/x.txt", "a/b.mp3", "/m/a/b.mp3", "a"),
        ("/m/x.txt", "/else/b.mp3", "/else/b.mp3", ""),
        ("/m/x.txt", "../b.mp3", "/m/../b.mp3", ""),
        ("/m/x.txt", "https://h/b.mp3", "https://h/b.mp3", ""),
        ("file:///m/x.txt", "a/b.mp3", "/m/a/b.mp3", "a"),
        ("https://h/l/x.txt?sig=1", "a/b.mp3", "https://h/l/a/b.mp3", "a"),
        ("https://h/l/x.txt", "/b.mp3", "https://h/b.mp3", ""),
        ("s3://bucket/l/x.txt", "a/b.mp3", "s3://bucket/l/a/b.mp3", "a"),
        ("s3://bucket/l/x.txt", "../../../b.mp3", "s3://bucket/b.mp3", ""),
    ],
)
def test_lines_are_relative_to_their_list(
    manifest: str, source: str, address: str, folder: str
) -> None:
    """Wherever the list lies; and a transcript keeps the folder that a relative line has."""
    [entry] = entries(source, manifest)
    assert (entry.media_url, entry.folder.removesuffix(".")) == (address, folder)


@pytest.mark.parametrize(
    ("manifest", "source", "is_refused"),
    [
        ("/m/x.txt", "/etc/hosts", False),
        ("/m/x.txt", "s3://bucket/a.mp3", False),
        ("s3://bucket/x.txt", "s3://other/a.mp3", False),
        ("s3://bucket/x.txt", "https://h/a.mp3", False),
        ("s3://bucket/x.txt", "file:///etc/hosts", True),
        ("s3://bucket/x.txt", "/etc/hosts", True),
        ("https://h/x.txt", "file:///etc/hosts", True),
        ("https://h/x.txt", "s3://bucket/a.mp3", True),
        ("/m/x.txt", "rtsp://h/a", True),
    ],
)
def test_a_list_from_elsewhere_does_not_reach_into_this_machine(
    manifest: str, source: str, is_refused: bool
) -> None:
    """Only a list on this machine may name its files, and only its own stores one in a store."""
    [entry] = entries(source, manifest)
    assert (entry.problem is not None) == is_refused


def test_a_row_that_cannot_be_used_is_alone() -> None:
    """Others stay usable, and the problem names the line."""
    rows = [
        '{"source": "a.mp3", "beam_size": 2}',
        "{not json",
        "[1]",
        '{"source": 3}',
        '{"source": "b.mp3", "beem_size": 2}',
        '{"source": "c.mp3", "params": [1]}',
        "[" * 100_000,
        '{"audio_filepath": "d.mp3", "duration": 12.5}',
    ]
    found = entries("\n".join(rows), "/m/x.jsonl")
    assert [each.problem is None for each in found] == [True] + [False] * 6 + [True]
    assert [each.shown for each in found[1:3]] == ["/m/x.jsonl, line 2", "/m/x.jsonl, line 3"]
    assert found[0].params == {"beam_size": 2}
    assert found[-1].known_sec == 12.5


def test_cells_are_parameters_of_their_own() -> None:
    """Groups are written with a dot, lists with blanks, and an empty cell is none."""
    text = "source,vad.threshold,languages,#note,language\na.mp3,0.4,en fr,mine,\n"
    [entry] = entries(text, "/m/x.csv")
    assert entry.params == {"vad": {"threshold": "0.4"}, "languages": ["en", "fr"]}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", b"address,language\na.mp3,en\n", "must name a column"),
        ("x.csv", b"source,langauge\na.mp3,en\n", "'langauge' is not a parameter"),
        ("x.csv", b"source,source\na,b\n", "two columns"),
        ("x.txt", b"a.mp3\nb\xff.mp3\n", "line 2 is not UTF-8"),
        ("x.txt", b"# nothing\n", "names no recording"),
        ("x.doc", b"a.mp3", "a manifest ends in"),
    ],
)
def test_what_is_no_list_is_refused_as_a_whole(name: str, content: bytes, message: str) -> None:
    """With what is wrong, before anything is transcribed."""
    with pytest.raises(ParameterError, match=message):
        entries(content, f"/m/{name}")


@given(source=NAMES)
def test_no_relative_line_of_a_store_leaves_its_bucket(source: str) -> None:
    """However many folders it goes up."""
    if "://" not in source and not source.startswith("/"):
        assert resolved(f"../../{source}", "s3://bucket/a/x.txt").startswith("s3://bucket/")


def test_a_home_is_the_callers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`~` in a local list is expanded, as on a command line."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolved("~/a.mp3", "/m/x.txt") == str(tmp_path / "a.mp3")
