"""Silence: exact sums, the quietest point, and what counts as silence."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from longform.chunking.silence import is_silence, quietest_sample, smoothed_sums
from tests.support.pcm_streams import noise


@given(
    st.lists(st.integers(-32_768, 32_767), min_size=1, max_size=60),
    st.integers(1, 80),
)
def test_sums_equal_the_definition_in_exact_integers(values: list[int], width: int) -> None:
    """Every box holds the sum of absolute values as Python's integers give it."""
    width = min(width, len(values))
    expected = [sum(abs(v) for v in values[i : i + width]) for i in range(len(values) - width + 1)]
    assert smoothed_sums(np.array(values, np.int16), width).tolist() == expected


@given(
    st.lists(st.integers(-32_768, 32_767), max_size=60),
    st.integers(1, 80),
)
def test_the_quietest_sample_is_the_centre_of_a_quietest_box(values: list[int], width: int) -> None:
    """No box is quieter than the one around the sample, which lies inside the waveform."""
    pcm = np.array(values, np.int16)
    at = quietest_sample(pcm, width)
    assert 0 <= at <= len(pcm)
    if len(pcm):
        sums = smoothed_sums(pcm, width)
        assert sums[at - min(width, len(pcm)) // 2] == sums.min()


def test_the_loudest_negative_sample_is_loud() -> None:
    """-32768 counts as 32768: in int16 its absolute value is negative."""
    pcm = np.full(1_000, -32_768, np.int16)
    pcm[600:700] = 100
    assert 600 <= quietest_sample(pcm, 50) <= 700


def test_a_short_pause_after_hours_of_loud_audio_is_found() -> None:
    """The sums do not lose a silence the way a float32 running sum does."""
    pcm = np.full(16_000_000, 32_000, np.int16)
    pcm[15_000_000:15_001_600] = 31_999
    assert quietest_sample(pcm, 1_600) == 15_000_800


def test_digital_silence_is_cut_in_its_middle() -> None:
    """Among equally quiet places the one furthest from sound on both sides is taken."""
    pcm = np.concatenate([noise(9_000, 4_000), np.zeros(2_000, np.int16), noise(9_000, 4_000)])
    assert abs(quietest_sample(pcm, 100) - 5_000) <= 1


def test_silence_is_far_below_the_rest_and_quiet_speech_is_not() -> None:
    """18 dB under the mean level is silence, 12 dB is still speech, and nothing is nothing."""
    loud = noise(10_000, 80_000)
    assert is_silence(np.concatenate([loud, noise(1_000, 4_000)]), 1_600)
    assert not is_silence(np.concatenate([loud, noise(2_500, 4_000)]), 1_600)
    assert is_silence(np.zeros(8_000, np.int16), 1_600)
    assert not is_silence(np.empty(0, np.int16), 1_600)
