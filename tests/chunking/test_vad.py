"""Silero VAD on a stream: equal to faster-whisper's batch call, independent of blocking."""

import subprocess
import sys

import numpy as np
import pytest

from longform.chunking.micro_chunk import Pcm
from longform.chunking.vad import FRAME_SAMPLES, StreamingVad, silero_model, speech_probabilities
from tests.support.pcm_streams import in_blocks


def test_probabilities_equal_faster_whispers_on_real_speech(speech_pcm: Pcm) -> None:
    """Streaming gives what the batch call gives, within 1e-5, and there is speech in it."""
    from faster_whisper.vad import get_vad_model

    # A whole empty frame at the end: the batch call blanks the tail of the last frame.
    whole = len(speech_pcm) // FRAME_SAMPLES * FRAME_SAMPLES
    audio = np.pad(speech_pcm[:whole].astype(np.float32) / 32_768, (0, FRAME_SAMPLES))
    expected = get_vad_model()(audio)[:-1]
    ours = speech_probabilities(speech_pcm[:whole])
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, atol=1e-5)
    assert 0.3 < float((ours > 0.5).mean()) < 1.0


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
