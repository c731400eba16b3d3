"""Language names and keys."""

import pytest
from faster_whisper.tokenizer import _LANGUAGE_CODES

from longform.transcript.languages import bcp47_key, language_code, language_name, writes_spaces


@pytest.mark.parametrize("code", _LANGUAGE_CODES)
def test_every_code_of_the_model_has_a_name_and_a_key(code: str) -> None:
    """Each language that Whisper can detect has a lower-case name and a BCP 47 key."""
    assert language_name(code) != code
    assert language_name(code) == language_name(code).lower().strip()
    assert bcp47_key(code).isalpha()


@pytest.mark.parametrize(
    ("code", "name", "key"),
    [
        ("en", "english", "en"),
        ("jw", "javanese", "jv"),
        ("iw", "hebrew", "he"),
        ("yue", "cantonese", "yue"),
        ("haw", "hawaiian", "haw"),
        ("ht", "haitian creole", "ht"),
        ("xx", "xx", "xx"),
    ],
)
def test_known_languages(code: str, name: str, key: str) -> None:
    """Withdrawn codes get the key that replaced them, and unknown ones stand for themselves."""
    assert (language_name(code), bcp47_key(code)) == (name, key)


def test_scripts_without_spaces() -> None:
    """Japanese needs no blanks between words and Korean does."""
    assert not writes_spaces("ja")
    assert writes_spaces("ko")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("en", "en"),
        ("English", "en"),
        (" german ", "de"),
        ("pt-BR", "pt"),
        ("zh_CN", "zh"),
        ("Haitian Creole", "ht"),
        ("hebrew", "he"),
        ("javanese", "jv"),
        ("klingon", None),
        ("", None),
    ],
)
def test_languages_by_name(given: str, code: str | None) -> None:
    """Codes, tags and English names lead to one code, which is the one in use."""
    assert language_code(given) == code
