"""From speech probabilities to stretches of speech, frame by frame.

The hysteresis is Silero's (`get_speech_timestamps`): speech begins at a frame of at least
`threshold` and ends where it fell under `neg_threshold`, once that has lasted
`min_silence_duration_ms`. Padding is left to the caller that cuts the audio.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from longform.audio import SAMPLE_RATE_HZ, Span
from longform.chunking.vad import FRAME_SAMPLES
from longform.params import VadParams

NEG_THRESHOLD_BELOW = 0.15  # Silero's distance between the two thresholds
MIN_NEG_THRESHOLD = 0.01


def ms_to_samples(milliseconds: int) -> int:
    """Return whole milliseconds as samples, exactly."""
    return milliseconds * SAMPLE_RATE_HZ // 1_000


@dataclass(frozen=True, slots=True)
class Speech:
    """A stretch of speech, without padding, and the short pauses inside it, in order."""

    span: Span
    pauses: tuple[Span, ...] = ()


class SpeechSpans:
    """The state machine over frames. `position` is the sample up to which it has heard."""

    def __init__(self, params: VadParams, start_sample: int) -> None:
        self._threshold = params.threshold
        self._neg_threshold = max(params.threshold - NEG_THRESHOLD_BELOW, MIN_NEG_THRESHOLD)
        self._min_speech = ms_to_samples(params.min_speech_duration_ms)
        self._min_silence = ms_to_samples(params.min_silence_duration_ms)
        self._pause_start: int | None = None
        self._pauses: list[Span] = []
        self._is_continued = False
        self.position = start_sample
        self.open_start: int | None = None

    def step(self, probability: float) -> Speech | None:
        """Take the next frame; return the speech that turns out to have ended, if any."""
        frame_start = self.position
        self.position += FRAME_SAMPLES
        if probability >= self._threshold:
            self._hear_speech(frame_start)
            return None
        if self.open_start is None:
            return None
        if probability < self._neg_threshold:
            if self._pause_start is None:
                self._pause_start = frame_start
            if frame_start - self._pause_start >= self._min_silence:
                return self._close(self._pause_start)
        return None

    def finish(self, end_sample: int) -> Speech | None:
        """Return the speech that the end of the stream, at `end_sample`, cuts off, if any."""
        if self.open_start is None:
            return None
        end = end_sample if self._pause_start is None else min(self._pause_start, end_sample)
        return self._close(end)

    def open_speech(self) -> Speech | None:
        """Return what has been heard so far of the speech that is going on, if any."""
        if self.open_start is None:
            return None
        return Speech(Span(self.open_start, self.position), self._heard_pauses(self.position))

    def cut(self, sample: int) -> None:
        """Forget the open speech before `sample`; the rest counts, however short it is."""
        self.open_start = sample
        self._is_continued = True
        self._pauses = [pause for pause in self._pauses if pause.start_sample >= sample]
        if self._pause_start is not None:
            self._pause_start = max(self._pause_start, sample)

    def _hear_speech(self, frame_start: int) -> None:
        if self.open_start is None:
            self.open_start = frame_start
        self._pauses = list(self._heard_pauses(frame_start))
        self._pause_start = None

    def _heard_pauses(self, until_sample: int) -> tuple[Span, ...]:
        if self._pause_start is None:
            return tuple(self._pauses)
        return (*self._pauses, Span(self._pause_start, until_sample))

    def _close(self, end_sample: int) -> Speech | None:
        start = self.open_start if self.open_start is not None else end_sample
        speech = Speech(Span(start, max(start, end_sample)), tuple(self._pauses))
        is_kept = self._is_continued or speech.span.num_samples > self._min_speech
        self.open_start = self._pause_start = None
        self._pauses, self._is_continued = [], False
        return speech if is_kept and speech.span.num_samples else None


def speech_spans(
    probabilities: Iterable[float], params: VadParams, span: Span
) -> tuple[Speech, ...]:
    """Return the speech in `span`, given the probability of each of its frames."""
    machine = SpeechSpans(params, span.start_sample)
    ended = [machine.step(float(probability)) for probability in probabilities]
    ended.append(machine.finish(span.end_sample))
    return tuple(speech for speech in ended if speech is not None)
