"""The language of a window: its own where it is sure, its stream's where it is not."""

import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longform.speech.language import LanguageTrack, is_sure, only_among

DUTCH = [("nl", 0.95), ("de", 0.05)]
UNSURE = [("de", 0.5), ("nl", 0.4), ("en", 0.1)]
ENGLISH = [("en", 0.97), ("nl", 0.03)]


def test_a_sure_window_is_believed() -> None:
    """A clear switch of language is followed at once."""
    track = LanguageTrack()
    assert track.ballot(0).decide(DUTCH) == ("nl", 0.95)
    assert track.ballot(1).decide(ENGLISH) == ("en", 0.97)


def test_an_unsure_window_leans_on_earlier_ones() -> None:
    """After Dutch, a window that is half German and half Dutch is Dutch."""
    track = LanguageTrack()
    assert track.ballot(0).decide(UNSURE)[0] == "de"
    track.ballot(1).decide(DUTCH)
    assert track.ballot(2).decide(UNSURE)[0] == "nl"


def test_a_window_decoded_twice_votes_once() -> None:
    """Decoding again, after running out of memory say, does not change a later decision."""
    once, thrice = LanguageTrack(), LanguageTrack()
    for track, times in ((once, 1), (thrice, 3)):
        for _ in range(times):
            track.ballot(0).decide(UNSURE)
        track.ballot(1).decide(DUTCH)
    assert once.ballot(2).decide(UNSURE) == thrice.ballot(2).decide(UNSURE)


def test_later_windows_have_no_say() -> None:
    """The result of a window is the same whether later ones were already heard or not."""
    track = LanguageTrack()
    track.ballot(9).decide(DUTCH)
    track.ballot(10).decide(DUTCH)
    assert track.ballot(0).decide(UNSURE)[0] == "de"


@given(
    windows=st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from([DUTCH, UNSURE, ENGLISH])),
        min_size=1,
        max_size=6,
    ),
    order=st.randoms(use_true_random=False),
)
def test_side_by_side_windows_elect_as_in_turn(
    windows: list[tuple[int, list[tuple[str, float]]]], order: random.Random
) -> None:
    """Whoever is heard first, a window's language depends on those that were sent before it."""
    in_turn, beside = LanguageTrack(), LanguageTrack()
    expected = [in_turn.ballot(start).decide(vote) for start, vote in windows]
    ballots = [beside.ballot(start) for start, _ in windows]
    found: dict[int, tuple[str, float]] = {}

    def hear(at: int) -> None:
        found[at] = ballots[at].decide(windows[at][1])

    threads = [threading.Thread(target=hear, args=(at,)) for at in range(len(windows))]
    for thread in order.sample(threads, len(threads)):
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[at] for at in range(len(windows))] == expected


def test_a_window_that_gives_up_is_not_waited_for() -> None:
    """What could not be heard has no vote; what was heard keeps it."""
    track = LanguageTrack()
    lost, heard, last = track.ballot(0), track.ballot(1), track.ballot(2)
    heard.cast(DUTCH)
    for ballot in (lost, heard):
        ballot.give_up()
    assert last.decide(UNSURE)[0] == "nl"
    assert (track.heard(0), track.heard(1)) == ({}, dict(DUTCH))


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
