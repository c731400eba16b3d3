"""Speech spans: Silero's hysteresis as a state machine."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longform.audio import Pcm, Span
from longform.chunking.speech_spans import SpeechSpans, speech_spans
from longform.chunking.vad import FRAME_SAMPLES
from longform.params import VadParams

FRAME_MS = 32


def frames(*spans: tuple[int, int]) -> list[Span]:
    """Return spans that were given in frames."""
    return [Span(start * FRAME_SAMPLES, end * FRAME_SAMPLES) for start, end in spans]


def heard(probabilities: list[float], **vad: float) -> list[Span]:
    """Return the speech in a stream of these frames."""
    params = VadParams.model_validate({"min_silence_duration_ms": 2 * FRAME_MS, **vad})
    whole = Span(0, len(probabilities) * FRAME_SAMPLES)
    return [speech.span for speech in speech_spans(probabilities, params, whole)]


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        ([], []),
        ([0.1] * 5, []),
        ([0.9] * 5, frames((0, 5))),
        ([0.1, 0.9, 0.9, 0.1, 0.1, 0.1, 0.9], frames((1, 3), (6, 7))),
        ([0.9, 0.1, 0.1, 0.9], frames((0, 4))),  # the pause is one frame too short
        ([0.9, 0.4, 0.4, 0.4, 0.4, 0.4], frames((0, 6))),  # between the thresholds
        ([0.9, 0.1, 0.4, 0.1, 0.9], frames((0, 1), (4, 5))),  # once under, a pause goes on
        ([0.9, 0.1, 0.4, 0.4, 0.9], frames((0, 5))),  # but ends only under the lower one
    ],
)
def test_hysteresis(probabilities: list[float], expected: list[Span]) -> None:
    """Speech begins at the upper threshold and ends where it fell under the lower one."""
    assert heard(probabilities) == expected


def test_short_bursts_are_dropped() -> None:
    """Speech of no more than min_speech_duration_ms is not reported."""
    pattern = [0.9, 0.9, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1]
    assert heard(pattern, min_speech_duration_ms=2 * FRAME_MS) == frames((5, 8))


def test_short_pauses_inside_speech_are_kept_with_it() -> None:
    """Dips that are too short to end speech are reported as its inner pauses."""
    params = VadParams(min_silence_duration_ms=5 * FRAME_MS)
    probabilities = [0.9, 0.1, 0.1, 0.9, 0.1, 0.9]
    (speech,) = speech_spans(probabilities, params, Span(0, 6 * FRAME_SAMPLES))
    assert list(speech.pauses) == frames((1, 3), (4, 5))


@given(st.lists(st.sampled_from([0.1, 0.4, 0.9]), max_size=60))
def test_speech_is_sorted_disjoint_and_holds_every_speech_frame(probabilities: list[float]) -> None:
    """With no shortest speech, each frame over the threshold lies in one span, in order."""
    spans = heard(probabilities)
    edges = [edge for span in spans for edge in (span.start_sample, span.end_sample)]
    assert edges == sorted(set(edges))
    for index, probability in enumerate(probabilities):
        middle = index * FRAME_SAMPLES + 1
        inside = any(span.start_sample < middle < span.end_sample for span in spans)
        assert inside or probability < 0.5


def test_a_cut_keeps_the_rest_however_short() -> None:
    """After a forced cut the remainder counts as speech, though it is a short burst."""
    machine = SpeechSpans(VadParams(min_speech_duration_ms=1_000), 0)
    for _ in range(10):
        machine.step(0.9)
    machine.cut(9 * FRAME_SAMPLES)
    rest = machine.finish(10 * FRAME_SAMPLES)
    assert rest is not None
    assert [rest.span] == frames((9, 10))


def test_spans_equal_faster_whispers_on_real_speech(speech_pcm: Pcm) -> None:
    """Given the same probabilities, the spans are those of faster-whisper's own rule."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps, get_vad_model

    audio = speech_pcm.astype(np.float32) / 32_768
    probabilities = get_vad_model()(np.pad(audio, (0, -len(audio) % FRAME_SAMPLES)))
    options = VadOptions(min_silence_duration_ms=160, speech_pad_ms=0)
    expected = [(found["start"], found["end"]) for found in get_speech_timestamps(audio, options)]
    params = VadParams(min_silence_duration_ms=160)
    ours = speech_spans(probabilities.tolist(), params, Span(0, len(speech_pcm)))
    assert [(s.span.start_sample, s.span.end_sample) for s in ours] == expected
    assert len(expected) > 10
