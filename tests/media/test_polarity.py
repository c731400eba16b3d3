"""Mixing never silences: opposite channels are found, and one of them is read."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longform.media.decode.extract import extract_all
from longform.media.probe.polarity import Stretch, cancelled_by_mixing
from longform.net.policy import SourcePolicy
from tests.media.test_extract import collect, open_recording, require_equal_ways
from tests.support.chirps import encode, find_mark, write_marks

MARKS_SEC = tuple(float(second) for second in range(1, 20))
POWER = st.floats(1e-6, 1.0)


@given(st.lists(st.tuples(POWER, POWER), min_size=1, max_size=8))
def test_channels_that_are_not_lost_are_mixed(powers: list[tuple[float, float]]) -> None:
    """Where every mix holds a fair part of the louder channel, the mix is read."""
    stretches = [Stretch(pair, max(pair) / 4, 0.0) for pair in powers]
    assert cancelled_by_mixing(stretches) is None


@given(st.lists(st.tuples(POWER, POWER), min_size=1, max_size=8), st.randoms())
def test_the_choice_does_not_depend_on_the_order(powers: list[tuple[float, float]], pick) -> None:
    """Cancelled stretches name the channel with more power in them, in whatever order."""
    stretches = [Stretch(pair, 0.0, -1.0) for pair in powers]
    left, right = (sum(pair[side] for pair in powers) for side in (0, 1))
    chosen = cancelled_by_mixing(stretches)
    assert chosen in (0, 1)
    if abs(left - right) > 1e-9:
        assert chosen == int(right > left)
        pick.shuffle(stretches)
        assert cancelled_by_mixing(stretches) == chosen


def test_two_speakers_are_never_dropped_for_a_cancelled_jingle() -> None:
    """Channels that differ outweigh a stretch that cancels, silence counts for nothing."""
    speakers = [Stretch((0.1, 0.0), 0.025, 0.0), Stretch((0.0, 0.1), 0.025, 0.0)]
    jingle = Stretch((0.1, 0.1), 0.0, -1.0)
    assert cancelled_by_mixing([*speakers, jingle]) is None
    assert cancelled_by_mixing([Stretch((0.1, 0.1), 0.1, 1.0), jingle]) == 0
    assert cancelled_by_mixing([Stretch((0.0, 0.0), 0.0, 0.0)]) is None
    assert cancelled_by_mixing([]) is None


@pytest.mark.parametrize("name", ["opposite.wav", "opposite.flac", "opposite.mp3", "opposite.m4a"])
async def test_opposite_channels_are_heard(
    name: str, policy: SourcePolicy, tmp_path: Path, ffmpeg_binary: str
) -> None:
    """A recording whose mix is silence is read from its louder channel, and says so."""
    wav = write_marks(tmp_path / "in.wav", 20.0, MARKS_SEC, gains=(0.7, -0.75))
    recording = await open_recording(
        encode(tmp_path / name, "-i", wav), policy, tmp_path, ffmpeg_binary
    )
    assert recording.media.channel == 1
    assert "channel 2 of 2" in recording.media.warnings[0]
    pcm = await collect(extract_all(recording))
    assert abs(pcm.astype(int)).max() > 8_000
    assert find_mark(-pcm, 7.0) == pytest.approx(7.0, abs=0.005)
    await require_equal_ways(recording)


async def test_channels_that_turn_opposite_later_are_heard(
    policy: SourcePolicy, tmp_path: Path, ffmpeg_binary: str
) -> None:
    """A recording that begins in order and then cancels is found, windows agree with one pass."""
    fine = write_marks(tmp_path / "fine.wav", 20.0, MARKS_SEC, gains=(0.7, 0.7))
    turned = write_marks(tmp_path / "turned.wav", 20.0, MARKS_SEC, gains=(0.7, -0.7))
    joined = ("-i", fine, "-i", turned, "-filter_complex", "concat=n=2:v=0:a=1")
    recording = await open_recording(
        encode(tmp_path / "joined.flac", *joined), policy, tmp_path, ffmpeg_binary
    )
    pcm = await collect(extract_all(recording))
    for mark_sec in (5.0, 35.0):
        assert find_mark(pcm, mark_sec) == pytest.approx(mark_sec, abs=0.001)
    await require_equal_ways(recording)


async def test_ordinary_stereo_and_surround_are_mixed(
    policy: SourcePolicy, tmp_path: Path, ffmpeg_binary: str
) -> None:
    """Two speakers on two channels, and speech on the centre of 5.1, are all in the mix."""
    for gains in ((0.7, 0.0), (0.7, 0.7), (0.0, 0.0, 0.9, 0.0, 0.0, 0.0)):
        path = write_marks(tmp_path / "in.wav", 20.0, MARKS_SEC, gains=gains)
        recording = await open_recording(path, policy, tmp_path, ffmpeg_binary)
        pcm = await collect(extract_all(recording))
        assert (recording.media.channel, recording.media.warnings) == (None, ())
        assert find_mark(pcm, 7.0) == pytest.approx(7.0, abs=0.001)
        peak = np.abs(pcm.astype(int)).max() / 32_768
        assert peak > 0.5 * max(gains) / 6  # no quieter than by the number of channels
