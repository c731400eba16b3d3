"""The public result."""

import math

import pytest
from hypothesis import given

from longform.audio import SAMPLE_RATE_HZ, to_samples
from longform.transcript.output import TranscribeOutput, to_output
from longform.transcript.segment import Interval, Segment
from tests.support.transcripts import output_of, provenance, segment_lists, segment_of


@given(segments=segment_lists())
def test_times_are_those_of_the_samples(segments: tuple[Segment, ...]) -> None:
    """Seconds in the output lead back to exactly the samples that they came from."""
    for number, (segment, shown) in enumerate(
        zip(segments, output_of(segments).segments, strict=True)
    ):
        assert shown.id == number
        assert to_samples(shown.start_time_sec) == segment.start_sample
        assert to_samples(shown.end_time_sec) == segment.end_sample
        assert [to_samples(word.end_time_sec) for word in shown.words] == [
            word.end_sample for word in segment.words
        ]


@given(segments=segment_lists())
def test_it_survives_json(segments: tuple[Segment, ...]) -> None:
    """An output read back from its own JSON is equal, whatever scores and texts it holds."""
    output = output_of(segments)
    assert TranscribeOutput.model_validate_json(output.model_dump_json()) == output


def test_the_language_is_that_of_most_speech() -> None:
    """One long segment outweighs two short ones, in name and in key."""
    output = output_of(
        [segment_of(" a", 0, 1), segment_of(" b", 1, 2), segment_of(" ngoko", 2, 9, "jw")]
    )
    assert (output.language, output.bcp47_key) == ("javanese", "jv")
    assert [segment.language for segment in output.segments] == ["english", "english", "javanese"]


def test_silence_has_no_language() -> None:
    """Where nothing was said there is no language and no text."""
    output = output_of([])
    assert (output.language, output.bcp47_key, output.text) == (None, None, "")


@pytest.mark.parametrize(("processing_sec", "speedup"), [(0.0, 0.0), (0.5, 4.0)])
def test_speedup(processing_sec: float, speedup: float) -> None:
    """Speedup is seconds of recording per second of work, and zero where there was no work."""
    output = output_of([segment_of(" a", 0, 2)], processing_duration_sec=processing_sec)
    assert output.speedup == speedup


def test_covered_seconds_are_counted_by_kind() -> None:
    """Speech and failed seconds are sums over the coverage of their own kind only."""
    edges = [0, 2, 5, 6, 10]
    kinds = ["speech", "failed", "non_speech", "speech"]
    coverage = [
        Interval(start_sample=a * SAMPLE_RATE_HZ, end_sample=b * SAMPLE_RATE_HZ, kind=kind)
        for a, b, kind in zip(edges, edges[1:], kinds, strict=False)
    ]
    output = to_output(
        segments=[],
        coverage=coverage,
        num_samples=10 * SAMPLE_RATE_HZ,
        processing_duration_sec=1.0,
        task="translate",
        provenance=provenance(),
        warnings=["a warning"],
    )
    assert (output.speech_sec, output.failed_sec, output.input_duration_sec) == (6.0, 3.0, 10.0)
    assert (output.task, output.warnings) == ("translate", ("a warning",))


def test_scores_that_are_no_numbers_are_unknown() -> None:
    """NaN and infinity, which JSON does not have, become None."""
    segment = segment_of(" a", 0, 1).model_copy(
        update={"avg_logprob": math.nan, "compression_ratio": math.inf, "no_speech_prob": 0.5}
    )
    shown = output_of([segment]).segments[0]
    assert (shown.avg_logprob, shown.compression_ratio, shown.no_speech_prob) == (None, None, 0.5)


def test_names_that_are_not_utf8_can_be_shown() -> None:
    """A file name with bytes that are no UTF-8 does not make the output unwritable."""
    assert "talk?" in output_of([], name="talk\udcff").model_dump_json()


def test_text_joins_as_its_language_is_written() -> None:
    """Segments are set apart by one blank, theirs or ours, and not at all in Japanese."""
    assert output_of([segment_of(" a", 0, 1), segment_of(" b", 1, 2)]).text == "a b"
    assert output_of([segment_of("a", 0, 1), segment_of("b", 1, 2)]).text == "a b"
    assert (
        output_of([segment_of("はい", 0, 1, "ja"), segment_of("ええ", 1, 2, "ja")]).text
        == "はいええ"
    )
