"""Silero voice activity detection on a stream of PCM.

The network is the one in the faster-whisper wheel (Silero VAD v6, MIT). It reads frames of
512 samples, each with the last 64 samples of the frame before it, and carries an LSTM state
from frame to frame: https://github.com/snakers4/silero-vad.
"""

import functools
import importlib.util
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from longform.chunking.micro_chunk import Pcm
from longform.errors import EnvironmentFaultError
from longform.timeline import SAMPLE_RATE_HZ

FRAME_SAMPLES = 512  # samples; 32 ms
CONTEXT_SAMPLES = 64  # samples of the frame before
# Frames per call of the network: about one second. Fewer cost more per call (4: +15 %),
# more only delay the cut; always the same number, so that blocking cannot change a result.
GROUP_FRAMES = SAMPLE_RATE_HZ // FRAME_SAMPLES + 1
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
        """Run the network over consecutive frames."""
        inputs = {"input": frames, "h": state[0], "c": state[1]}
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
        zeros = np.zeros((1, 1, STATE_SIZE), np.float32)
        self._state: State = (zeros, zeros)
        self._context = np.zeros(CONTEXT_SAMPLES, np.float32)
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
        audio = pcm.reshape(-1, FRAME_SAMPLES).astype(np.float32) / 32_768
        tails = audio[:, -CONTEXT_SAMPLES:]
        contexts = np.concatenate([self._context[np.newaxis], tails[:-1]])
        self._context = tails[-1].copy()
        frames = np.concatenate([contexts, audio], axis=1)
        probabilities, self._state = self._model(frames, self._state)
        return probabilities


def speech_probabilities(pcm: Pcm, model: SpeechModel | None = None) -> Float32:
    """Return the probability of speech in every frame of `pcm`, float32 (ceil(n / 512),)."""
    vad = StreamingVad(model)
    return np.concatenate([vad.push(pcm), vad.finish()])
