"""Macro boundaries on a stream of unknown length: the same splits, in one pass."""

from dataclasses import dataclass

from longform.chunking.macro import Split, choose_split, is_boundary, search_window
from longform.chunking.micro_chunk import Pcm
from longform.chunking.pcm_buffer import PcmBuffer
from longform.chunking.vad import SpeechModel
from longform.params import TranscribeParams
from longform.timeline import Span, to_samples


@dataclass(frozen=True, slots=True, eq=False)
class MacroPcm:
    """Audio that surely belongs to macro chunk `index`; int16, shape (num_samples,)."""

    index: int
    start_sample: int
    pcm: Pcm


@dataclass(frozen=True, slots=True)
class MacroEnd:
    """Macro chunk `index` is complete. `split` is the boundary at its end; None at the last."""

    index: int
    span: Span
    split: Split | None


MacroEvent = MacroPcm | MacroEnd


class MacroCutter:
    """Cuts a stream into the macro chunks that `nominal_boundaries` would give for its length.

    Audio is passed on as soon as it surely belongs to a chunk; what is held back is one
    search window and the shortest last chunk, whatever the chunk size. There is always a
    last chunk, which is empty only where the stream is.
    """

    def __init__(self, params: TranscribeParams, model: SpeechModel | None = None) -> None:
        self._params = params
        self._model = model
        self._size = to_samples(params.macro_chunk_size_sec)
        self._buffer = PcmBuffer(0)
        self._index = 0
        self._chunk_start = 0

    def push(self, pcm: Pcm) -> list[MacroEvent]:
        """Take the next block of the stream, int16 (n,); return what it decided, in order."""
        self._buffer.append(pcm)
        events: list[MacroEvent] = []
        while is_boundary(self._boundary, self._buffer.end_sample, self._params):
            events += self._cut()
        window = search_window(self._boundary, self._boundary * 2, self._params)
        return events + self._pass_on(min(window.start_sample, self._buffer.end_sample))

    def finish(self) -> list[MacroEvent]:
        """Return the rest of the last chunk, and its end."""
        end = self._buffer.end_sample
        return [*self._pass_on(end), MacroEnd(self._index, Span(self._chunk_start, end), None)]

    @property
    def _boundary(self) -> int:
        return self._size * (self._index + 1)

    def _cut(self) -> list[MacroEvent]:
        window = search_window(self._boundary, self._buffer.end_sample, self._params)
        events = self._pass_on(window.start_sample)
        pcm = self._buffer.slice(window.start_sample, window.end_sample)
        split = choose_split([pcm], window, self._params, self._model)
        events += self._pass_on(split.sample)
        events.append(MacroEnd(self._index, Span(self._chunk_start, split.sample), split))
        self._index, self._chunk_start = self._index + 1, split.sample
        return events

    def _pass_on(self, until_sample: int) -> list[MacroEvent]:
        start = self._buffer.start_sample
        if until_sample <= start:
            return []
        return [MacroPcm(self._index, start, self._buffer.take_before(until_sample))]
