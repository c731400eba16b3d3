"""Micro chunks by voice activity: speech packed into windows, the rest left out.

Whisper decodes a window of 30 s at the same cost whatever it holds, and long windows give
it context, so stretches of speech are packed greedily into contiguous audio of at most
`micro_chunk_size_sec` (the cut-and-merge of WhisperX, Bain et al. 2023).
"""

from longform.audio import SAMPLE_RATE_HZ, Pcm, Span, complement, to_samples
from longform.chunking.micro_chunk import MicroChunk
from longform.chunking.pcm_buffer import PcmBuffer
from longform.chunking.silence import quietest_sample
from longform.chunking.speech_spans import Speech, SpeechSpans, ms_to_samples
from longform.chunking.vad import FRAME_SAMPLES, Float32, SpeechModel, StreamingVad
from longform.params import TranscribeParams

# Below this a dip in the probability is the closure of a stop consonant, not a pause.
MIN_INNER_PAUSE_SAMPLES = SAMPLE_RATE_HZ * 96 // 1_000  # 96 ms; three frames


class VadMicroChunker:
    """Packs the speech of a stream; holds about two micro chunks and 10 s of audio at most.

    Every decision is taken at the end of a frame and from the frames up to it, never at the
    end of a block: this is what makes the result independent of blocking.
    """

    def __init__(
        self, params: TranscribeParams, start_sample: int, model: SpeechModel | None = None
    ) -> None:
        self._limit = to_samples(params.micro_chunk_size_sec)
        # A quarter at most, so that the second half of a full window is speech.
        self._pad = min(ms_to_samples(params.vad.speech_pad_ms), self._limit // 4)
        self._smoothing = params.silence_detection_smoothing_num_samples
        min_silence = ms_to_samples(params.vad.min_silence_duration_ms)
        # After speech there is at least this much audio that can be kept as its padding; in
        # front of speech that needs the room, padding shrinks to the same.
        self._tail = min(self._pad, min_silence // 2)
        # By so much later it is known whether speech had ended within a window.
        self._lag = min_silence + 2 * FRAME_SAMPLES
        self._vad = StreamingVad(model)
        self._speech = SpeechSpans(params.vad, start_sample)
        self._buffer = PcmBuffer(start_sample)
        self._start = self._cut_end = start_sample
        self._packed: list[Span] = []
        self._window_start = start_sample  # of the packed speech, with its padding
        self._spans: list[Span] = []
        self._ready: list[MicroChunk] = []

    @property
    def non_speech(self) -> tuple[Span, ...]:
        """What was left out between the micro chunks so far."""
        return complement(self._spans, Span(self._start, self._buffer.end_sample))

    def push(self, pcm: Pcm) -> list[MicroChunk]:
        """Take the next block, int16 (n,); return the micro chunks it completed, in order."""
        self._buffer.append(pcm)
        self._step_through(self._vad.push(pcm))
        self._buffer.drop_before(self._first_needed())
        return self._take_ready()

    def finish(self) -> list[MicroChunk]:
        """Return the micro chunks that the end of the stream completes, in order."""
        self._step_through(self._vad.finish())
        last = self._speech.finish(self._buffer.end_sample)
        if last is not None:
            self._pack(last)
        self._flush(next_start=None)
        self._buffer.drop_before(self._buffer.end_sample)
        return self._take_ready()

    def _step_through(self, probabilities: Float32) -> None:
        for probability in probabilities.tolist():
            ended = self._speech.step(probability)
            if ended is not None:
                self._pack(ended)
            else:
                self._flush_if_full()

    def _pack(self, speech: Speech) -> None:
        """Add speech that has ended to the window, or begin a new window with it."""
        if self._packed and speech.span.end_sample + self._tail > self._window_start + self._limit:
            self._flush(next_start=speech.span.start_sample)
        end = speech.span.end_sample
        while end - self._latest_start(speech) > self._limit:
            speech = self._cut_off(speech)
        if not self._packed:
            fitting = min(end + self._tail - self._limit, self._latest_start(speech))
            self._window_start = max(self._padded_start(speech), fitting)
        self._packed.append(speech.span)

    def _flush_if_full(self) -> None:
        """Emit as soon as nothing that is still to come can change the window."""
        position, going_on = self._speech.position, self._speech.open_speech()
        if self._packed and position >= self._window_start + self._limit + self._lag:
            if going_on is not None:
                self._flush(next_start=going_on.span.start_sample)
            elif position >= self._packed[-1].end_sample + 2 * self._pad:
                self._flush(next_start=None)
        if going_on is None or self._packed:
            return
        if position >= self._latest_start(going_on) + self._limit + self._lag:
            self._speech.cut(self._cut_off(going_on).span.start_sample)

    def _padded_start(self, speech: Speech) -> int:
        return max(self._cut_end, speech.span.start_sample - self._pad)

    def _latest_start(self, speech: Speech) -> int:
        return max(self._cut_end, speech.span.start_sample - self._tail)

    def _flush(self, next_start: int | None) -> None:
        """Emit the packed speech, padded at most halfway to the speech after it."""
        if not self._packed:
            return
        last_end = self._packed[-1].end_sample
        end = min(last_end + self._pad, self._window_start + self._limit, self._buffer.end_sample)
        if next_start is not None:
            end = min(end, max(last_end, (last_end + next_start) // 2, next_start - self._pad))
        self._emit(Span(self._window_start, end), tuple(self._packed))
        self._packed = []

    def _cut_off(self, speech: Speech) -> Speech:
        """Emit the head of speech that no window can hold whole; return the rest of it.

        The cut lies in the second half of the window: in the middle of the longest inner
        pause (the latest of equals), else at the quietest point.
        """
        start = self._padded_start(speech)
        second_half = Span(start + self._limit // 2, start + self._limit)
        inner = [pause.intersection(second_half) for pause in speech.pauses]
        pauses = [p for p in inner if p is not None and p.num_samples >= MIN_INNER_PAUSE_SAMPLES]
        if pauses:
            best = max(pauses, key=lambda pause: (pause.num_samples, pause.start_sample))
            cut = (best.start_sample + best.end_sample) // 2
        else:
            pcm = self._buffer.slice(second_half.start_sample, second_half.end_sample)
            cut = second_half.start_sample + quietest_sample(pcm, self._smoothing)
        self._emit(Span(start, cut), (Span(max(start, speech.span.start_sample), cut),))
        rest = Span(cut, speech.span.end_sample)
        return Speech(rest, tuple(p for p in speech.pauses if p.start_sample >= cut))

    def _emit(self, span: Span, speech: tuple[Span, ...]) -> None:
        pcm = self._buffer.slice(span.start_sample, span.end_sample)
        self._ready.append(MicroChunk(span, pcm, speech))
        self._spans.append(span)
        self._cut_end = span.end_sample

    def _first_needed(self) -> int:
        """Return the first sample that a later micro chunk may hold."""
        if self._packed:
            return self._window_start
        going_on = self._speech.open_speech()
        if going_on is not None:
            return self._padded_start(going_on)
        return max(self._cut_end, self._speech.position - self._pad)

    def _take_ready(self) -> list[MicroChunk]:
        ready, self._ready = self._ready, []
        return ready
