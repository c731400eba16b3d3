"""The micro chunk: the stretch of contiguous audio that the engine decodes in one window."""

from dataclasses import dataclass

from longform.audio import Pcm, Span


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
