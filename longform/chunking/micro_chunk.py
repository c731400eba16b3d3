"""The micro chunk: the stretch of contiguous audio that the engine decodes in one window."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from longform.timeline import Span

Pcm = npt.NDArray[np.int16]  # shape (num_samples,), 16 kHz mono


@dataclass(frozen=True, slots=True, eq=False)
class MicroChunk:
    """Contiguous audio for one decoding window.

    Attributes:
        span: where the audio lies on the recording's timeline.
        pcm: int16, shape (span.num_samples,).
        speech: detected speech inside `span`, sorted and disjoint; the whole span where
            nothing was detected because nothing was asked (`chunking=silence`).
    """

    span: Span
    pcm: Pcm
    speech: tuple[Span, ...]
