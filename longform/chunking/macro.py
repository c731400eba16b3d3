"""Macro boundaries: where a recording is cut into the chunks that workers take.

A boundary is looked for around every multiple of `macro_chunk_size_sec`, in a window that
is known in advance, so that all of them can be searched at once, on different machines.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np

from longform.audio import SAMPLE_RATE_HZ, Pcm, Span, complement, to_samples
from longform.chunking.silence import is_silence, quietest_sample
from longform.chunking.speech_spans import ms_to_samples, speech_spans
from longform.chunking.vad import SpeechModel, speech_probabilities
from longform.params import FrozenModel, TranscribeParams

# No boundary is set that would leave less than this behind its search window: a shorter
# last chunk costs more in scheduling than it saves, and could even be empty.
MIN_LAST_CHUNK_SAMPLES = 10 * SAMPLE_RATE_HZ  # 10 s

# The guard of a boundary that cuts into speech, where none was asked for: a few words on both
# sides, so that the one which is cut is heard whole, in its surroundings, by either of them.
DEFAULT_GUARD_SEC = 2.0


class Split(FrozenModel):
    """The chosen place of a macro boundary.

    Attributes:
        sample: first sample of the chunk after the boundary.
        kind: `pause` where no speech was detected, `quiet` where the waveform is quietest.
        is_silent: whether nothing is said there; where not, a word may be cut.
    """

    sample: int
    kind: Literal["pause", "quiet"]
    is_silent: bool


def is_boundary(boundary_sample: int, total_samples: int, params: TranscribeParams) -> bool:
    """Return whether a recording of `total_samples` is cut around `boundary_sample` at all."""
    search = to_samples(params.split_search_sec)
    return total_samples >= boundary_sample + search + MIN_LAST_CHUNK_SAMPLES


def nominal_boundaries(total_samples: int, params: TranscribeParams) -> tuple[int, ...]:
    """Return the samples around which a recording is cut: multiples of the chunk size."""
    size = to_samples(params.macro_chunk_size_sec)
    candidates = range(size, total_samples, size)
    return tuple(at for at in candidates if is_boundary(at, total_samples, params))


def search_window(boundary_sample: int, total_samples: int, params: TranscribeParams) -> Span:
    """Return where the split for a nominal boundary may lie, within the recording."""
    search = to_samples(params.split_search_sec)
    start = min(max(0, boundary_sample - search), total_samples)
    return Span(start, max(start, min(boundary_sample + search, total_samples)))


def guard_samples(split: Split | None, params: TranscribeParams) -> int:
    """Return how far the chunks beside a boundary listen into each other; 0 where it is silent.

    It is never more than `MIN_LAST_CHUNK_SAMPLES`, so that there is always audio for it.
    """
    if split is None or split.is_silent:
        return 0
    return to_samples(params.macro_chunk_overlap_sec or DEFAULT_GUARD_SEC)


def choose_split(
    blocks: Iterable[Pcm],
    window: Span,
    params: TranscribeParams,
    model: SpeechModel | None = None,
) -> Split:
    """Return the split in `window`: the middle of its longest pause, else its quietest point.

    Args:
        blocks: the window's audio, int16, in blocks. Where there is less of it than
            expected, the split lies in what there is.
        window: where that audio lies on the recording's timeline.
        params: chunking parameters.
        model: what detects speech; Silero VAD where None.
    """
    pcm = np.concatenate([np.empty(0, np.int16), *blocks])[: window.num_samples]
    heard = Span(window.start_sample, window.start_sample + len(pcm))
    speech = speech_spans(speech_probabilities(pcm, model), params.vad, heard)
    # At the edges of the window the network has not heard enough to tell a pause from a breath.
    shortest = ms_to_samples(params.vad.min_silence_duration_ms)
    unspoken = complement([stretch.span for stretch in speech], heard)
    pauses = [pause for pause in unspoken if pause.num_samples >= shortest]
    if pauses:
        # The first of the longest, so that equal pauses give the same split every time.
        longest = max(pauses, key=lambda pause: pause.num_samples)
        middle = (longest.start_sample + longest.end_sample) // 2
        return Split(sample=middle, kind="pause", is_silent=True)
    width = params.silence_detection_smoothing_num_samples
    return Split(
        sample=window.start_sample + quietest_sample(pcm, width),
        kind="quiet",
        is_silent=is_silence(pcm, width),
    )


def spans_from_splits(splits: Sequence[Split], total_samples: int) -> tuple[Span, ...]:
    """Return the macro chunks between the splits; they tile `[0, total_samples)`."""
    edges = [0, *(split.sample for split in splits), total_samples]
    return tuple(Span(start, end) for start, end in pairwise(edges))
