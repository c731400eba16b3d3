"""Speech without words: it is found, heard again in its surroundings, and put in its place."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from longform.audio import SAMPLE_RATE_HZ, Span, require_tiling
from longform.chunking.micro_chunk import MicroChunk
from longform.speech.engine import MicroResult
from longform.speech.unheard_speech import halves, unheard, widened, with_recovered
from longform.transcript.segment import Flag, Segment, Word

START = 5 * SAMPLE_RATE_HZ


def at(start_sec: float, end_sec: float) -> Span:
    """Return a span, in seconds from the start of the micro chunk."""
    return Span(START + round(start_sec * SAMPLE_RATE_HZ), START + round(end_sec * SAMPLE_RATE_HZ))


def micro(*speech: Span, duration_sec: float = 30) -> MicroChunk:
    """Return a micro chunk whose samples are numbered in a circle."""
    span = at(0, duration_sec)
    return MicroChunk(span, np.arange(span.num_samples).astype(np.int16), speech)


def said(
    *words: tuple[float, float], probability: float = 0.9, flags: tuple[Flag, ...] = ()
) -> Segment:
    """Return a segment of numbered words at these times."""
    spans = [at(*times) for times in words]
    return Segment(
        start_sample=spans[0].start_sample,
        end_sample=spans[-1].end_sample,
        text="".join(f" w{number}" for number in range(len(spans))),
        language="en",
        flags=flags,
        words=tuple(
            Word(
                start_sample=span.start_sample,
                end_sample=span.end_sample,
                text=f" w{number}",
                probability=probability,
            )
            for number, span in enumerate(spans)
        ),
    )


def test_speech_between_words_counts_and_silence_does_not() -> None:
    """Two seconds of speech without a word are missing, ten of silence are not."""
    chunk = micro(at(0, 5), at(15, 21))
    assert unheard(chunk, [said((0, 1), (1, 5), (15, 17), (19, 21))]) == (at(17, 19),)
    assert unheard(chunk, [said((0, 1), (1, 5), (15, 18), (19, 21))]) == ()


def test_a_window_without_a_word_is_missing_from_speech_to_speech() -> None:
    """The part is as long as its speech, pauses inside it included."""
    assert unheard(micro(at(2, 4), at(6, 9)), []) == (at(2, 9),)
    assert unheard(micro(at(2, 3)), []) == ()


def test_segments_count_where_words_are_not_timed() -> None:
    """Without word timestamps whole segments say where something was heard."""
    without = said((0, 1), (9, 10)).model_copy(update={"words": ()})
    assert unheard(micro(at(0, 15)), [without]) == (at(10, 15),)


def test_a_part_is_heard_again_with_its_surroundings() -> None:
    """Two seconds on both sides, inside the window, with the same audio and speech."""
    chunk = micro(at(1, 8), at(9, 12))
    part = widened(chunk, at(5, 8))
    assert (part.span, part.speech) == (at(3, 10), (at(3, 8), at(9, 10)))
    np.testing.assert_array_equal(part.pcm, chunk.pcm[3 * SAMPLE_RATE_HZ : 10 * SAMPLE_RATE_HZ])
    assert widened(chunk, at(1, 30)).span == at(0, 30)


def test_only_words_inside_the_part_are_added_in_order() -> None:
    """What was heard before stays as it is; what the second attempt says about it is left."""
    first = MicroResult((said((0, 5)), said((10, 12))), "en", 0.99)
    again = MicroResult((said((4, 5), (6, 7), (8, 9), (10, 11)),), "en", 0.99, num_fallbacks=2)
    both = with_recovered(first, again, at(5, 9.5))
    assert [segment.text for segment in both.segments] == [" w0", " w1 w2", " w0"]
    assert (both.num_recovered_words, both.num_fallbacks) == (2, 3)


def test_doubtful_text_is_not_added() -> None:
    """A second attempt that is improbable or flagged adds nothing."""
    first = MicroResult((), "en", 0.99)
    doubtful = MicroResult((said((6, 7), probability=0.3),), "en", 0.99)
    flagged = MicroResult((said((6, 7), flags=("repetition",)),), "en", 0.99)
    assert with_recovered(first, doubtful, at(5, 9)).segments == ()
    assert with_recovered(first, flagged, at(5, 9)).segments == ()


def test_a_window_is_halved_in_its_longest_pause_that_leaves_enough_on_both_sides() -> None:
    """A pause near the end leaves too little to tell a language by."""
    chunk = micro(at(0, 5), at(6, 11), at(20, 22))
    parts = halves(chunk)
    assert [part.span for part in parts] == [at(0, 5.5), at(5.5, 30)]
    assert parts[1].speech == (at(6, 11), at(20, 22))
    assert halves(micro(at(0, 20))) == ()


stretches = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 60)), max_size=8)


@given(stretches)
def test_halves_tile_the_window_and_its_speech(pauses_and_speech: list[tuple[int, int]]) -> None:
    """No sample and no speech is in both halves or in none."""
    speech, position = [], 0
    for pause, length in pauses_and_speech:
        start = position + pause
        position = start + length
        speech.append(at(start / 10, position / 10))
    chunk = micro(*speech, duration_sec=max(1, position / 10))
    parts = halves(chunk)
    if parts:
        require_tiling([part.span for part in parts], chunk.span)
        assert [each for part in parts for each in part.speech] == speech
        np.testing.assert_array_equal(np.concatenate([part.pcm for part in parts]), chunk.pcm)
