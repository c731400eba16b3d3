"""Stems of file names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longform.transcript.file_stem import MAX_STEM_BYTES, file_stem, marked_stem


@given(name=st.text(max_size=300))
def test_every_name_becomes_one_that_every_system_holds(name: str) -> None:
    """A stem is never empty, a dot, a path, reserved, or longer than 120 bytes with its mark."""
    stem = file_stem(name)
    assert stem.strip(" .") == stem != ""
    assert not set(stem) & set('<>:"/\\|?*\n\r\t\0')
    assert all(
        character.isprintable() or character.isalnum() or ord(character) > 0x9F
        for character in stem
    )
    assert stem.partition(".")[0].strip().lower() not in {
        "con",
        "prn",
        "aux",
        "nul",
        "com1",
        "lpt9",
    }
    assert len(marked_stem(stem, "f" * 64).encode()) <= MAX_STEM_BYTES


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("talk.mp3", "talk"),
        ("talk", "talk"),
        ("Meeting 3. Part two.final.m4a", "Meeting 3. Part two.final"),
        ("Meeting 3. Part two", "Meeting 3. Part two"),
        ("../../etc/passwd", "_.._etc_passwd"),
        (".", "recording"),
        ("..", "recording"),
        ("", "recording"),
        (".mp3", "mp3"),
        ("CON.wav", "_CON"),
        ("com1.a.b.wav", "_com1.a.b"),
        ("-rf.wav", "_-rf"),
        ("a\udcffb.wav", "a_b"),
        ("a\u202egpj.wav", "agpj"),
        ("e\u0301te\u0301.ogg", "\u00e9t\u00e9"),
        ("日本語.webm", "日本語"),
    ],
)
def test_known_names(name: str, stem: str) -> None:
    """Names keep what can be kept."""
    assert file_stem(name) == stem


def test_long_names_are_cut_between_characters() -> None:
    """A name of many three-byte letters is cut to whole letters."""
    assert set(file_stem("語" * 200)) == {"語"}


@pytest.mark.parametrize("fingerprint", ["0123456789ab", "etag:x/y", ""])
def test_the_mark_is_eight_hex_digits(fingerprint: str) -> None:
    """Fingerprints of any form give eight digits that are safe in a file name."""
    stem, _, mark = marked_stem("talk", fingerprint).rpartition("-")
    assert (stem, len(mark)) == ("talk", 8)
    assert int(mark, 16) >= 0
