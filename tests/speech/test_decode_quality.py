"""The verdict on decoded windows: loops and noise are rejected, real repetition is not."""

import numpy as np
import pytest

from longform.audio import Span
from longform.chunking.micro_chunk import MicroChunk
from longform.params import FallbackParams
from longform.speech.decode_quality import (
    Scores,
    assess,
    compression_ratio,
    flags,
    is_doubtful,
    is_misaligned,
    is_outside,
    least_bad,
    loops,
    misses_trailing_speech,
)
from longform.speech.segmentation import TimedWord

PARAMS = FallbackParams()
PROMPTS = (
    "To lower the volume of the other callers, press one. "
    "To raise the volume of the other callers, press two. "
    "To lower the volume of your own voice, press three. "
    "To raise the volume of your own voice, press four. "
    "To lower the volume of the conference, press five. "
)


def scores(text: str, avg_logprob: float = -0.1, no_speech_prob: float = 0.0) -> Scores:
    """Return scores whose compression ratio is that of the text."""
    return Scores(text, avg_logprob, no_speech_prob, compression_ratio(text))


def test_plain_speech_is_good() -> None:
    """An ordinary sentence with ordinary scores is kept."""
    assert assess(scores("Ask not what your country can do for you."), PARAMS) == "good"


@pytest.mark.parametrize("text", ["no " * 9, "thank you " * 6, "I am going to do it again, " * 4])
def test_a_loop_is_decoded_again_however_sure_the_decoder_is(text: str) -> None:
    """A phrase repeated back to back is rejected at any probability."""
    assert assess(scores(text, avg_logprob=-0.01), PARAMS) == "again"


@pytest.mark.parametrize("text", ["No, no, no!", "words words words words", "again and again and"])
def test_people_may_repeat_themselves(text: str) -> None:
    """A few repeated words are speech."""
    assert not loops(text)


def test_formulas_that_a_sure_decoder_repeats_are_good() -> None:
    """Prompts that share their phrases compress like a loop, but are kept when probable."""
    assert compression_ratio(PROMPTS) > PARAMS.compression_ratio_threshold
    assert assess(scores(PROMPTS, avg_logprob=-0.1), PARAMS) == "good"
    assert assess(scores(PROMPTS, avg_logprob=-0.7), PARAMS) == "again"


def test_improbable_text_is_decoded_again_or_silence() -> None:
    """Whisper's rule: improbable text over probable silence is silence."""
    assert assess(scores("Thanks for watching", -1.2, 0.1), PARAMS) == "again"
    assert assess(scores("Thanks for watching", -1.2, 0.9), PARAMS) == "silence"


def test_probable_text_is_kept_over_a_doubtful_silence() -> None:
    """A high probability of no speech alone removes nothing."""
    assert assess(scores("Good evening.", -0.2, 0.9), PARAMS) == "good"


def test_the_least_bad_is_no_loop() -> None:
    """Where nothing is good, the most probable text without a loop is kept."""
    assert least_bad([scores("no " * 9, -0.1), scores("a b", -2.0), scores("c d", -1.5)]) == 2
    assert least_bad([scores("no " * 9, -0.3), scores("yes " * 9, -0.2)]) == 1


def word(start_sample: int, end_sample: int, probability: float = 0.9) -> TimedWord:
    """Return a word at a place."""
    return TimedWord(" Thanks.", (1,), Span(start_sample, end_sample), probability)


def test_words_are_outside_of_speech_where_none_of_them_touches_it() -> None:
    """One word in speech makes the others belong there as well; doubt is a matter of the mean."""
    speech = [Span(0, 16_000)]
    assert is_outside([word(32_000, 40_000)], speech)
    assert not is_outside([word(8_000, 40_000)], speech)
    assert not is_outside([word(32_000, 40_000), word(0, 100)], speech)
    assert is_doubtful([word(0, 1, 0.2), word(1, 2, 0.7)])
    assert not is_doubtful([word(0, 1, 0.2), word(1, 2, 0.9)])


def test_a_window_wanders_when_much_of_it_stands_beside_speech() -> None:
    """Some words beside a pause do not count, nor few ones; a third of them does."""
    speech = [Span(0, 16_000)]
    inside, outside = word(0, 8_000), word(32_000, 40_000)
    assert is_misaligned([inside] * 6 + [outside] * 4, speech)
    assert not is_misaligned([inside] * 16 + [outside] * 4, speech)
    assert not is_misaligned([outside] * 3, speech)


def test_what_is_kept_although_it_fails_says_why() -> None:
    """A loop and an improbable text are flagged, each for itself; a good one is not."""
    assert flags(scores("Good evening."), PARAMS) == ()
    assert flags(scores("no " * 9), PARAMS) == ("repetition",)
    assert flags(scores("Thanks", -1.2), PARAMS) == ("low_confidence",)
    assert flags(scores("no " * 9, -1.2), PARAMS) == ("repetition", "low_confidence")


def test_speech_behind_the_last_time_stamp_is_noticed() -> None:
    """A window that was not heard to its end is told by the speech that is left."""
    speech = (Span(16_000, 64_000), Span(96_000, 128_000))
    chunk = MicroChunk(Span(16_000, 144_000), np.zeros(128_000, np.int16), speech)
    assert misses_trailing_speech(chunk, 48_000)
    assert not misses_trailing_speech(chunk, 112_000 - 16_000)
    assert not misses_trailing_speech(chunk, None)
