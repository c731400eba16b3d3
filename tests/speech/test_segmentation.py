"""Words to segments: nothing lost, cut at sentences and pauses, times inside speech."""

from hypothesis import given
from hypothesis import strategies as st

from longform.audio import SAMPLE_RATE_HZ, Span
from longform.speech.segmentation import (
    PAUSE_SAMPLES,
    TimedWord,
    fit_to_speech,
    split_words,
)

SECOND = SAMPLE_RATE_HZ


def said(*texts_and_times: tuple[str, float, float]) -> list[TimedWord]:
    """Return words of (text, start, end in seconds)."""
    return [
        TimedWord(text, (1,), Span(round(start * SECOND), round(end * SECOND)), 0.9)
        for text, start, end in texts_and_times
    ]


def texts(parts: list[list[TimedWord]]) -> list[str]:
    """Return the text of each part."""
    return ["".join(word.text for word in part) for part in parts]


@given(
    st.lists(
        st.tuples(st.sampled_from([" a", " b.", " c,", ' d!"']), st.integers(0, 40_000)),
        max_size=40,
    )
)
def test_no_word_is_lost_or_moved(drawn: list[tuple[str, int]]) -> None:
    """The parts hold the same words in the same order, and none is empty."""
    words, position = [], 0
    for text, gap in drawn:
        words.append(TimedWord(text, (1,), Span(position + gap, position + gap + 4_000), 0.9))
        position += gap + 4_000
    parts = split_words(words)
    assert [word for part in parts for word in part] == words
    assert all(parts)


def test_sentences_are_segments() -> None:
    """A full stop ends a segment, also inside closing quotes."""
    words = said((" Go", 0, 1), (' on."', 1, 2), (" He", 2.1, 2.5), (" went.", 2.5, 3))
    assert texts(split_words(words)) == [' Go on."', " He went."]


def test_a_short_abbreviation_is_not_a_sentence() -> None:
    """A full stop within the first second does not end a segment."""
    words = said((" Mr.", 0, 0.3), (" Smith", 0.3, 0.9), (" came.", 0.9, 1.4))
    assert texts(split_words(words)) == [" Mr. Smith came."]


def test_a_pause_ends_a_segment() -> None:
    """Text does not stand over a second of silence."""
    pause = PAUSE_SAMPLES / SECOND
    words = said((" one", 0, 0.5), (" two", 0.5 + pause, 1 + pause))
    assert texts(split_words(words)) == [" one", " two"]


def test_a_word_is_shrunk_to_the_speech_under_it() -> None:
    """A word that alignment stretched into a pause is cut back, with a tenth of a second left."""
    speech = [Span(0, 2 * SECOND), Span(5 * SECOND, 8 * SECOND)]
    fitted = fit_to_speech(Span(2 * SECOND, 6 * SECOND), speech)
    assert fitted == Span(5 * SECOND - SECOND // 10, 6 * SECOND)


def test_a_word_beside_all_speech_stays_where_it_is() -> None:
    """Where no speech was detected there is nothing to fit to."""
    word = Span(3 * SECOND, 4 * SECOND)
    assert fit_to_speech(word, [Span(0, SECOND)]) == word


def test_a_word_over_a_whole_pause_is_put_behind_it() -> None:
    """Alignment begins it too early; with little speech behind the pause it stays in front."""
    edge = SECOND // 10
    speech = [Span(0, SECOND), Span(2 * SECOND, 8 * SECOND)]
    word = Span(SECOND // 2, 2 * SECOND + SECOND // 2)
    assert fit_to_speech(word, speech) == Span(2 * SECOND - edge, 2 * SECOND + SECOND // 2)
    assert fit_to_speech(Span(0, 2 * SECOND + edge), speech) == Span(0, SECOND + edge)
