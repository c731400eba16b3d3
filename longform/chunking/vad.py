"""Silero voice activity detection on a stream of PCM.

The network is the one in the faster-whisper wheel (Silero VAD v6, MIT). It reads frames of
512 samples, each with the last 64 samples of the frame before it, and carries an LSTM state
from frame to frame: https://github.com/snakers4/silero-vad. Here it reads stretches of 10 s,
each brought to the same level and begun with a fresh state.
"""

import functools
import importlib.util
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from longform.audio import SAMPLE_RATE_HZ, Pcm
from longform.errors import EnvironmentFaultError

FRAME_SAMPLES = 512  # samples; 32 ms
CONTEXT_SAMPLES = 64  # samples of the frame before
# Frames per call of the network: about 10 s, the stretch that has one level and one memory.
# Always the same number, so that blocking cannot change a result.
GROUP_FRAMES = 10 * SAMPLE_RATE_HZ // FRAME_SAMPLES
# The network hears quiet speech badly: at -42 dBFS it missed 10 of 25 s. So each stretch is
# amplified until its loud frames (90th percentile) reach -20 dBFS, tenfold at most.
LOUD_PERCENTILE = 90
TARGET_RMS = 0.1  # of full scale; -20 dBFS
MAX_GAIN = 10.0  # 20 dB
# And it stays deaf for up to 17 s after a sudden change of level or noise. So each stretch
# starts with an empty memory, warmed up with the second before it.
WARM_UP_FRAMES = SAMPLE_RATE_HZ // FRAME_SAMPLES  # 31; about 1 s
STATE_SIZE = 128
MODEL_FILE = Path("assets") / "silero_vad_v6.onnx"

Float32 = npt.NDArray[np.float32]
State = tuple[Float32, Float32]  # h and c of the LSTM, each of shape (1, 1, STATE_SIZE)


class SpeechModel(Protocol):
    """Says how likely each frame is speech; it may remember the frames before."""

    def __call__(self, frames: Float32, state: State) -> tuple[Float32, State]:
        """Return probabilities, float32 (n,), and the state after the last frame.

        `frames` is float32 (n, CONTEXT_SAMPLES + FRAME_SAMPLES) in [-1, 1].
        """
        ...


class SileroModel:
    """The network, loaded on one thread; calls may come from any thread.

    Raises:
        EnvironmentFaultError: where the network's file is not installed.
    """

    def __init__(self, path: Path) -> None:
        import onnxruntime

        if not path.is_file():
            raise EnvironmentFaultError(f"{path} is missing: reinstall faster-whisper")
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 4
        self._session: Any = onnxruntime.InferenceSession(
            str(path), providers=["CPUExecutionProvider"], sess_options=options
        )

    def __call__(self, frames: Float32, state: State) -> tuple[Float32, State]:
        """Run the network over consecutive frames, brought to the same level."""
        levelled = np.clip(frames * gain(frames[:, CONTEXT_SAMPLES:]), -1, 1)
        inputs = {"input": levelled, "h": state[0], "c": state[1]}
        probabilities, h, c = self._session.run(None, inputs)
        return probabilities, (h, c)


@functools.lru_cache(maxsize=1)
def silero_model() -> SileroModel:
    """Return this process's network, loaded on the first call.

    Raises:
        EnvironmentFaultError: where faster-whisper is not installed.
    """
    # Found without importing faster_whisper, which would load the whole decoder with it.
    package = importlib.util.find_spec("faster_whisper")
    if package is None or not package.submodule_search_locations:
        raise EnvironmentFaultError("faster-whisper is not installed: pip install faster-whisper")
    return SileroModel(Path(package.submodule_search_locations[0]) / MODEL_FILE)


class StreamingVad:
    """Speech probabilities of a stream, one per frame, however the stream is blocked."""

    def __init__(self, model: SpeechModel | None = None) -> None:
        self._model = model or silero_model()
        # What was heard last, as the network reads it, not amplified: (n, 64 + 512).
        self._before = np.zeros((0, CONTEXT_SAMPLES + FRAME_SAMPLES), np.float32)
        self._pending = np.empty(0, np.int16)

    def push(self, pcm: Pcm) -> Float32:
        """Take the next block, int16 (n,); return the frames it completed, float32 (m,)."""
        self._pending = np.concatenate([self._pending, pcm])
        group = GROUP_FRAMES * FRAME_SAMPLES
        whole = len(self._pending) // group * group
        ready, self._pending = self._pending[:whole], self._pending[whole:].copy()
        return self._run(ready)

    def finish(self) -> Float32:
        """Return the remaining frames; the last one is filled up with zeros."""
        missing = -len(self._pending) % FRAME_SAMPLES
        rest, self._pending = np.pad(self._pending, (0, missing)), np.empty(0, np.int16)
        return self._run(rest)

    def _run(self, pcm: Pcm) -> Float32:
        groups = range(0, len(pcm), GROUP_FRAMES * FRAME_SAMPLES)
        parts = [self._run_group(pcm[at : at + GROUP_FRAMES * FRAME_SAMPLES]) for at in groups]
        return np.concatenate([np.empty(0, np.float32), *parts])

    def _run_group(self, pcm: Pcm) -> Float32:
        audio = pcm.reshape(-1, FRAME_SAMPLES).astype(np.float32) / np.float32(32_768)
        heard = np.concatenate([self._before, self._with_context(audio)])
        num_before = len(self._before)
        self._before = heard[-WARM_UP_FRAMES:].copy()
        zeros = np.zeros((1, 1, STATE_SIZE), np.float32)
        probabilities, _ = self._model(heard, (zeros, zeros))
        return probabilities[num_before:]

    def _with_context(self, audio: Float32) -> Float32:
        """Put the end of the frame before in front of each frame."""
        tails = audio[:, -CONTEXT_SAMPLES:]
        first = np.zeros((1, CONTEXT_SAMPLES), np.float32)
        if len(self._before):
            first = self._before[-1:, -CONTEXT_SAMPLES:]
        return np.concatenate([np.concatenate([first, tails[:-1]]), audio], axis=1)


def gain(frames: Float32) -> float:
    """Return the factor, at least 1, that brings the loud ones among the frames to level."""
    rms = np.sqrt(np.mean(np.square(frames), axis=1))
    loud = max(float(np.percentile(rms, LOUD_PERCENTILE)), TARGET_RMS / MAX_GAIN)
    return max(1.0, TARGET_RMS / loud)


def speech_probabilities(pcm: Pcm, model: SpeechModel | None = None) -> Float32:
    """Return the probability of speech in every frame of `pcm`, float32 (ceil(n / 512),)."""
    vad = StreamingVad(model)
    return np.concatenate([vad.push(pcm), vad.finish()])
