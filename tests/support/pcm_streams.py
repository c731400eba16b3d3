"""Made-up streams, ways to block them, and a cheap stand-in for the VAD network."""

from collections.abc import Iterator, Sequence

import numpy as np
from hypothesis import strategies as st

from longform.audio import Pcm
from longform.chunking.vad import CONTEXT_SAMPLES, Float32, State

# Amplitudes of int16 noise, and the probability of speech that the stand-in gives them.
LEVELS = {0: 0.0, 300: 0.1, 3_000: 0.42, 12_000: 0.9}


def loudness_model(frames: Float32, state: State) -> tuple[Float32, State]:
    """Take loud frames for speech: probabilities as in LEVELS, without any memory."""
    level = np.abs(frames[:, CONTEXT_SAMPLES:]).mean(axis=1) * 2 * 32_768
    return np.interp(level, list(LEVELS), list(LEVELS.values())).astype(np.float32), state


def noise(amplitude: int, num_samples: int, seed: int = 0) -> Pcm:
    """Return uniform noise in [-amplitude, amplitude], int16."""
    values = np.random.default_rng(seed).integers(-amplitude, amplitude + 1, num_samples)
    return values.astype(np.int16)


def stretches(
    min_stretches: int = 0, max_stretches: int = 12, min_sec: float = 0.0, max_sec: float = 8.0
) -> st.SearchStrategy[Pcm]:
    """Streams of loud, middling, quiet and silent stretches."""
    lengths = st.integers(int(min_sec * 16_000), int(max_sec * 16_000))
    one = st.tuples(st.sampled_from(list(LEVELS)), lengths)
    return st.lists(one, min_size=min_stretches, max_size=max_stretches).map(
        lambda parts: np.concatenate(
            [np.empty(0, np.int16), *(noise(a, n, seed) for seed, (a, n) in enumerate(parts))]
        )
    )


def blockings() -> st.SearchStrategy[list[int]]:
    """Block lengths in samples, to be taken in turn; one of them keeps the count of blocks low."""
    lengths = st.lists(st.integers(1, 600) | st.integers(1, 200_000), max_size=6)
    return st.builds(lambda some: [*some, 9_000], lengths)


def in_blocks(pcm: Pcm, lengths: Sequence[int]) -> Iterator[Pcm]:
    """Cut a stream into blocks of these lengths, in turn."""
    start = turn = 0
    while start < len(pcm):
        end = start + lengths[turn % len(lengths)]
        yield pcm[start:end]
        start, turn = end, turn + 1
