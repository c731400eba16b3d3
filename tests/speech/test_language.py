"""The language of a window: its own where it is sure, its stream's where it is not."""

import pytest

from longform.speech.language import LanguageVotes, is_sure, only_among

DUTCH = [("nl", 0.95), ("de", 0.05)]
UNSURE = [("de", 0.5), ("nl", 0.4), ("en", 0.1)]
ENGLISH = [("en", 0.97), ("nl", 0.03)]


def test_a_sure_window_is_believed() -> None:
    """A clear switch of language is followed at once."""
    track = LanguageVotes()
    assert track.decide(0, DUTCH) == ("nl", 0.95)
    assert track.decide(1, ENGLISH) == ("en", 0.97)


def test_an_unsure_window_leans_on_earlier_ones() -> None:
    """After Dutch, a window that is half German and half Dutch is Dutch."""
    track = LanguageVotes()
    assert track.decide(0, UNSURE)[0] == "de"
    track.decide(1, DUTCH)
    assert track.decide(2, UNSURE)[0] == "nl"


def test_a_window_decoded_twice_votes_once() -> None:
    """Decoding again, after running out of memory say, does not change a later decision."""
    once, thrice = LanguageVotes(), LanguageVotes()
    for track, times in ((once, 1), (thrice, 3)):
        for _ in range(times):
            track.decide(0, UNSURE)
        track.decide(1, DUTCH)
    assert once.decide(2, UNSURE) == thrice.decide(2, UNSURE)


def test_later_windows_have_no_say() -> None:
    """The result of a window is the same whether later ones were already heard or not."""
    track = LanguageVotes()
    track.decide(9, DUTCH)
    track.decide(10, DUTCH)
    assert track.decide(0, UNSURE)[0] == "de"


def test_only_the_named_languages_are_considered() -> None:
    """Their probabilities keep their proportions and sum to 1; the rest is out of the question."""
    heard = [("cy", 0.6), ("en", 0.3), ("nl", 0.1)]
    among = only_among(("nl", "en", "xx"), heard)
    assert [code for code, _ in among] == ["en", "nl"]
    assert [probability for _, probability in among] == pytest.approx([0.75, 0.25])
    assert only_among((), heard) == heard
    assert only_among(("xx",), heard) == heard


def test_a_window_is_sure_of_a_language_above_the_threshold_only() -> None:
    """What is not sure may hold two languages."""
    assert is_sure(DUTCH)
    assert not is_sure(UNSURE)
