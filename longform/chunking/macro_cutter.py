"""Macro boundaries on a stream of unknown length: the same splits, in one pass."""

from dataclasses import dataclass

from longform.audio import Pcm, Span, to_samples
from longform.chunking.macro import (
    DEFAULT_GUARD_SEC,
    Split,
    choose_split,
    guard_samples,
    is_boundary,
    search_window,
)
from longform.chunking.pcm_buffer import PcmBuffer
from longform.chunking.vad import SpeechModel
from longform.params import TranscribeParams


@dataclass(frozen=True, slots=True, eq=False)
class ChunkAudio:
    """The next audio that macro chunk `index` listens to; int16, shape (num_samples,).

    Beside a boundary with a guard two chunks listen to the same audio.
    """

    index: int
    start_sample: int
    pcm: Pcm


@dataclass(frozen=True, slots=True)
class ChunkEnd:
    """Macro chunk `index` is complete. `split` is the boundary at its end; None at the last.

    What it listens to begins `guard_before_samples` before its span, and ends
    `guard_after_samples` behind it.
    """

    index: int
    span: Span
    split: Split | None
    guard_before_samples: int = 0
    guard_after_samples: int = 0


MacroEvent = ChunkAudio | ChunkEnd


class MacroCutter:
    """Cuts a stream into the macro chunks that `nominal_boundaries` would give for its length.

    Audio is passed on as soon as it surely belongs to a chunk; what is held back is one
    search window with a guard before it and the shortest last chunk behind it, whatever the
    chunk size. There is always a last chunk, which is empty only where the stream is.
    """

    def __init__(self, params: TranscribeParams, model: SpeechModel | None = None) -> None:
        self._params = params
        self._model = model
        self._size = to_samples(params.macro_chunk_size_sec)
        self._longest_guard = to_samples(params.macro_chunk_overlap_sec or DEFAULT_GUARD_SEC)
        self._guard_before = 0
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
        surely_own = window.start_sample - self._longest_guard
        return events + self._pass_on(min(surely_own, self._buffer.end_sample))

    def finish(self) -> list[MacroEvent]:
        """Return the rest of the last chunk, and its end."""
        end = self._buffer.end_sample
        return [*self._pass_on(end), self._end(end, None, 0)]

    @property
    def _boundary(self) -> int:
        return self._size * (self._index + 1)

    def _cut(self) -> list[MacroEvent]:
        window = search_window(self._boundary, self._buffer.end_sample, self._params)
        pcm = self._buffer.slice(window.start_sample, window.end_sample)
        split = choose_split([pcm], window, self._params, self._model)
        at, guard = split.sample, guard_samples(split, self._params)
        before = min(guard, at - self._chunk_start)
        heard_twice = self._buffer.slice(at - before, at + guard)
        events = self._pass_on(at)
        if guard:
            events.append(ChunkAudio(self._index, at, heard_twice[before:]))
        events.append(self._end(at, split, guard))
        self._index, self._chunk_start, self._guard_before = self._index + 1, at, before
        if before:
            events.append(ChunkAudio(self._index, at - before, heard_twice[:before]))
        return events

    def _end(self, end_sample: int, split: Split | None, guard_after: int) -> ChunkEnd:
        span = Span(self._chunk_start, end_sample)
        return ChunkEnd(self._index, span, split, self._guard_before, guard_after)

    def _pass_on(self, until_sample: int) -> list[MacroEvent]:
        start = self._buffer.start_sample
        if until_sample <= start:
            return []
        return [ChunkAudio(self._index, start, self._buffer.take_before(until_sample))]
