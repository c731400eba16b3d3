"""Silero VAD on a stream: equal to faster-whisper's batch call, independent of blocking."""

import subprocess
import sys

import numpy as np
import pytest

from longform.audio import Pcm
from longform.chunking.vad import (
    FRAME_SAMPLES,
    GROUP_FRAMES,
    StreamingVad,
    gain,
    silero_model,
    speech_probabilities,
)
from tests.support.pcm_streams import in_blocks


def test_probabilities_equal_faster_whispers_on_real_speech(speech_pcm: Pcm) -> None:
    """The first stretch gives what the batch call gives at its level, and there is speech in it."""
    from faster_whisper.vad import get_vad_model

    pcm = speech_pcm[: GROUP_FRAMES * FRAME_SAMPLES]
    audio = pcm.astype(np.float32) / 32_768
    levelled = np.clip(audio * gain(audio.reshape(-1, FRAME_SAMPLES)), -1, 1)
    # A whole empty frame at the end: the batch call blanks the tail of the last frame.
    expected = get_vad_model()(np.pad(levelled, (0, FRAME_SAMPLES)))[:-1]
    ours = speech_probabilities(pcm)
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, atol=1e-4)
    assert 0.3 < float((ours > 0.5).mean()) < 1.0


def test_quiet_speech_is_heard_after_loud_speech(speech_pcm: Pcm) -> None:
    """The same speech 20 dB down, behind itself, has nearly as much speech in it as before."""
    pcm = speech_pcm[: 30 * 16_000 // FRAME_SAMPLES * FRAME_SAMPLES]
    quiet = (pcm * 0.1).astype(np.int16)
    heard = speech_probabilities(np.concatenate([pcm, quiet])) > 0.5
    loud_share, quiet_share = (float(half.mean()) for half in np.array_split(heard, 2))
    assert quiet_share > 0.9 * loud_share


def test_silence_stays_silence() -> None:
    """Amplification makes no speech out of faint noise."""
    hiss = np.random.default_rng(0).normal(0, 30, 30 * 16_000).astype(np.int16)
    assert not (speech_probabilities(hiss) > 0.5).any()


@pytest.mark.parametrize("lengths", [[1_237], [512], [16_384, 1], [100_000], [333, 70_001]])
def test_blocking_does_not_change_one_bit(speech_pcm: Pcm, lengths: list[int]) -> None:
    """Whatever the sizes of the blocks, every probability is bit for bit the same."""
    pcm = speech_pcm[: 30 * 16_000 + 77]
    vad = StreamingVad()
    parts = [vad.push(block) for block in in_blocks(pcm, lengths)]
    np.testing.assert_array_equal(np.concatenate([*parts, vad.finish()]), speech_probabilities(pcm))


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (1, 1), (512, 1), (513, 2), (1_600, 4)])
def test_there_is_one_probability_per_begun_frame(samples: int, frames: int) -> None:
    """Short and empty streams have their frames, and no frame of padding alone."""
    assert speech_probabilities(np.zeros(samples, np.int16)).shape == (frames,)


def test_a_process_loads_the_network_once() -> None:
    """The session is shared by all streams of a process."""
    assert silero_model() is silero_model()


def test_importing_the_module_loads_no_network_library() -> None:
    """onnxruntime and faster_whisper are not imported before they are needed."""
    code = (
        "import sys, longform.chunking.micro; "
        "sys.exit(bool({'onnxruntime', 'faster_whisper', 'ctranslate2'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
