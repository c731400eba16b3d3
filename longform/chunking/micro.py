"""The protocol of micro chunkers, and the table of them."""

from collections.abc import Callable
from typing import Protocol

from longform.audio import Pcm, Span
from longform.chunking.micro_chunk import MicroChunk
from longform.chunking.micro_silence import SilenceMicroChunker
from longform.chunking.micro_vad import VadMicroChunker
from longform.params import Chunking, TranscribeParams


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
