"""Answers of transcription servers: whatever they hold, a sound result comes of it."""

from hypothesis import given
from hypothesis import strategies as st

from longform.audio import Span
from longform.speech.engine import DecodeOptions
from longform.speech.remote.openai_response import parse_answer

SPAN = Span(1_000, 1_000 + 10 * 16_000)
numbers = st.one_of(
    st.none(),
    st.floats(),
    st.integers(-10, 40),
    st.sampled_from(["", "1.5"]),
    st.booleans(),
)
# A small alphabet: words must be found in texts now and then. ß and İ change when cased.
LETTERS = 'aB ,.("ßİ\n'
texts = st.one_of(st.none(), st.text(LETTERS, max_size=20), st.integers())
words = st.fixed_dictionaries({}, optional={"word": texts, "start": numbers, "end": numbers})
segments = st.fixed_dictionaries(
    {},
    optional={
        "id": numbers,
        "start": numbers,
        "end": numbers,
        "text": texts,
        "tokens": st.one_of(st.none(), st.lists(numbers, max_size=3)),
        "temperature": numbers,
        "avg_logprob": numbers,
        "words": st.lists(words, max_size=3),
    },
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "text": texts,
        "language": texts,
        "language_probability": numbers,
        "segments": st.one_of(st.none(), st.lists(st.one_of(segments, st.none()), max_size=4)),
        "words": st.one_of(st.none(), st.lists(words, max_size=6)),
    },
)


@given(documents)
def test_any_document_gives_a_sound_result(document: dict[str, object]) -> None:
    """Times lie in the chunk and in order, and words make up the text of their segment."""
    result = parse_answer(document, SPAN, DecodeOptions())
    assert result.language
    starts = [segment.start_sample for segment in result.segments]
    assert starts == sorted(starts)
    for segment in result.segments:
        assert SPAN.start_sample <= segment.start_sample <= segment.end_sample <= SPAN.end_sample
        assert segment.text
        position = segment.start_sample
        for word in segment.words:
            assert position <= word.start_sample <= word.end_sample <= segment.end_sample
            position = word.start_sample
        if segment.words:
            assert "".join(word.text for word in segment.words) == segment.text


@given(documents)
def test_words_are_left_out_where_none_are_wanted(document: dict[str, object]) -> None:
    """Without word timestamps there are none, whatever the server sends."""
    result = parse_answer(document, SPAN, DecodeOptions(word_timestamps=False))
    assert all(segment.words == () for segment in result.segments)


def test_words_are_divided_among_their_segments() -> None:
    """Words beside the segments are given to those in which they lie, with their marks."""
    document = {
        "segments": [
            {"start": 0, "end": 2, "text": ' "One, two."'},
            {"start": 2, "end": 4, "text": " (Three) four"},
        ],
        "words": [
            {"word": word, "start": at, "end": at + 0.9}
            for at, word in enumerate(("One", "two", "Three", "four"))
        ],
    }
    result = parse_answer(document, SPAN, DecodeOptions())
    found = [[word.text for word in segment.words] for segment in result.segments]
    assert found == [[' "One,', ' two."'], [" (Three)", " four"]]


def test_a_given_language_is_kept() -> None:
    """What was asked for is what was decoded; else the server's word, as code or name."""
    for asked, told, expected in (
        ("de", "english", "de"),
        (None, "english", "en"),
        (None, "pt-BR", "pt"),
        (None, "Klingon", "und"),
        (None, None, "und"),
    ):
        options = DecodeOptions(language=asked)
        document = {"text": "x"} | ({"language": told} if told else {})
        assert parse_answer(document, SPAN, options).language == expected
