"""The protocol of micro chunkers, and the table of them."""

from collections.abc import Callable
from typing import Protocol

from longform.audio import Pcm, Span, to_samples
from longform.chunking.micro_chunk import MicroChunk
from longform.chunking.micro_vad import VadMicroChunker
from longform.chunking.pcm_buffer import PcmBuffer
from longform.chunking.silence import quietest_sample
from longform.params import Chunking, TranscribeParams

# Micro chunks by silence: the Chain's rule. Nothing is left out.


class SilenceMicroChunker:
    """Cuts every full block at the quietest point of its second half."""

    def __init__(self, params: TranscribeParams, start_sample: int) -> None:
        self._limit = to_samples(params.micro_chunk_size_sec)
        self._smoothing = params.silence_detection_smoothing_num_samples
        self._buffer = PcmBuffer(start_sample)

    @property
    def non_speech(self) -> tuple[Span, ...]:
        """Nothing: this rule keeps everything."""
        return ()

    def push(self, pcm: Pcm) -> list[MicroChunk]:
        """Take the next block, int16 (n,); return the micro chunks it completed, in order."""
        self._buffer.append(pcm)
        chunks = []
        while self._buffer.end_sample - self._buffer.start_sample > self._limit:
            start = self._buffer.start_sample
            middle, end = start + self._limit // 2, start + self._limit
            second_half = self._buffer.slice(middle, end)
            chunks.append(self._take(middle + quietest_sample(second_half, self._smoothing)))
        return chunks

    def finish(self) -> list[MicroChunk]:
        """Return what is left as the last micro chunk, unless nothing is."""
        end = self._buffer.end_sample
        return [self._take(end)] if end > self._buffer.start_sample else []

    def _take(self, end_sample: int) -> MicroChunk:
        span = Span(self._buffer.start_sample, end_sample)
        return MicroChunk(span, self._buffer.take_before(end_sample), speech=(span,))


class MicroChunker(Protocol):
    """Cuts the stream of one macro chunk into micro chunks while it arrives.

    None is longer than `micro_chunk_size_sec`, and none depends on how the stream was
    blocked. Blocks that are pushed belong to the chunker.
    """

    @property
    def non_speech(self) -> tuple[Span, ...]:
        """What was left out, once finished; with the chunks' spans it tiles the stream."""
        ...

    def push(self, pcm: Pcm) -> list[MicroChunk]:
        """Take the next block, int16 (n,); return the micro chunks it completed, in order."""
        ...

    def finish(self) -> list[MicroChunk]:
        """Return the micro chunks that the end of the stream completes, in order."""
        ...


CHUNKERS: dict[Chunking, Callable[[TranscribeParams, int], MicroChunker]] = {
    "vad": VadMicroChunker,
    "silence": SilenceMicroChunker,
}


def micro_chunker(params: TranscribeParams, start_sample: int) -> MicroChunker:
    """Return the chunker that `params.chunking` names, for a stream that begins there."""
    return CHUNKERS[params.chunking](params, start_sample)
