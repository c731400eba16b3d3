"""Micro chunks by silence: the Chain's rule. Nothing is left out."""

from longform.audio import Pcm, Span, to_samples
from longform.chunking.micro_chunk import MicroChunk
from longform.chunking.pcm_buffer import PcmBuffer
from longform.chunking.silence import quietest_sample
from longform.params import TranscribeParams


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
