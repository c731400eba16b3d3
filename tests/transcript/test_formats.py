"""The formats, as their readers see them."""

import json
import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pysubs2
import pytest
from hypothesis import given

from longform.audio import SAMPLE_RATE_HZ
from longform.params import SubtitleParams
from longform.transcript.cues import to_cues
from longform.transcript.formats import FORMATS
from longform.transcript.formats.rendering import Rendering
from longform.transcript.output import TranscribeOutput
from longform.transcript.segment import Segment, Word
from longform.transcript.text_pieces import bare
from tests.support.transcripts import HOSTILE, output_of, segment_lists, segment_of

CLOCK = r"(\d\d):(\d\d):(\d\d)[,.](\d\d\d)"
LOOK_ALIKES = str.maketrans("‹›｛｝＼", "<>{}\\")  # noqa: RUF001
CONTROLS = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)))


def render(name: str, *segments: Segment) -> str:
    """Return segments in a format."""
    return FORMATS[name].render(Rendering(output_of(segments)))


def highlighted(name: str, *segments: Segment) -> str:
    """Return segments in a format, with words underlined while they are spoken."""
    output = output_of(segments)
    asked = output.provenance.parameters.model_copy(
        update={"subtitles": SubtitleParams(highlight_words=True)}
    )
    provenance = output.provenance.model_copy(update={"parameters": asked})
    return FORMATS[name].render(Rendering(output.model_copy(update={"provenance": provenance})))


def blocks(text: str) -> Iterator[tuple[int, int, str]]:
    """Read SRT or VTT strictly: number, one line of times, text, a blank line; nothing else."""
    body = text.removeprefix("WEBVTT\n\n").removesuffix("\n\n")
    for number, block in enumerate(body.split("\n\n") if body.strip() else [], 1):
        index, times, *lines = block.split("\n")
        found = re.fullmatch(f"{CLOCK} --> {CLOCK}", times)
        assert found
        assert int(index) == number
        assert lines
        assert all(line.strip() for line in lines)
        h1, m1, s1, f1, h2, m2, s2, f2 = map(int, found.groups())
        yield (
            ((h1 * 60 + m1) * 60 + s1) * 1000 + f1,
            ((h2 * 60 + m2) * 60 + s2) * 1000 + f2,
            "\n".join(lines),
        )


def restored(name: str, text: str) -> str:
    """Return cue text as a person reads it."""
    return unescape(text) if name == "vtt" else text.translate(LOOK_ALIKES)


@pytest.mark.parametrize("name", FORMATS)
def test_names_and_suffixes_agree(name: str) -> None:
    """Each format's suffix is its name, and an empty transcript is still a file."""
    assert FORMATS[name].suffix == f".{name}".replace("_", ".")
    assert isinstance(render(name), str)


@pytest.mark.parametrize("name", ["srt", "vtt"])
@given(segments=segment_lists())
def test_subtitles_are_well_formed(name: str, segments: tuple[Segment, ...]) -> None:
    """Whatever was said, blocks are numbered, in order, at least 1 ms long and not overlapping."""
    earliest = 0
    for start_ms, end_ms, _ in blocks(render(name, *segments)):
        assert earliest <= start_ms < end_ms
        earliest = end_ms


@pytest.mark.parametrize("name", ["srt", "vtt"])
@given(segments=segment_lists())
def test_subtitles_keep_the_text(name: str, segments: tuple[Segment, ...]) -> None:
    """Read back and unescaped, a subtitle file has every character that was said."""
    shown = bare(restored(name, text) for _, _, text in blocks(render(name, *segments)))
    said = bare(segment.text for segment in segments).translate(CONTROLS)
    # In SRT, signs that already are look-alikes cannot be told from replaced ones.
    assert shown == (said.translate(LOOK_ALIKES) if name == "srt" else said)


@pytest.mark.parametrize("name", ["srt", "vtt"])
@given(segments=segment_lists())
def test_highlights_change_no_text(name: str, segments: tuple[Segment, ...]) -> None:
    """Without its underlines a highlighted file shows the same cues, over the same time."""
    plain = list(blocks(render(name, *segments)))
    marked = list(blocks(highlighted(name, *segments)))
    shown = [(start, end, re.sub(r"</?u>", "", text)) for start, end, text in marked]
    for start_ms, end_ms, text in plain:
        frames = [frame for frame in shown if start_ms <= frame[0] < end_ms]
        assert {bare([frame[2]]) for frame in frames} == {bare([text])}
        assert [frame[0] for frame in frames] == [start_ms, *(frame[1] for frame in frames[:-1])]
        assert frames[-1][1] == end_ms
    assert all(text.count("<u>") <= 1 for _, _, text in marked)


@pytest.mark.parametrize("name", ["srt", "vtt"])
def test_each_word_is_underlined_while_it_is_spoken(name: str) -> None:
    """Every word in turn carries the tag; in a pause and after the last none does."""
    words = (
        Word(start_sample=0, end_sample=4_000, text=" R&D"),
        Word(start_sample=8_000, end_sample=12_000, text=" is"),
    )
    segment = segment_of(" R&D is", 0, 0.75).model_copy(update={"words": words})
    shown = [restored(name, text) for *_, text in blocks(highlighted(name, segment))]
    assert shown == ["<u>R&D</u> is", "R&D is", "R&D <u>is</u>"]


def test_voices_are_named() -> None:
    """A speaker stands before the text in SRT and TXT, and in a voice tag in VTT."""
    segment = segment_of(" a < b", 0, 1).model_copy(update={"speaker": "SPEAKER_00"})
    assert "\n[SPEAKER_00]: a ‹ b\n" in render("srt", segment)  # noqa: RUF001
    assert "\n<v SPEAKER_00>a &lt; b</v>\n" in render("vtt", segment)
    assert render("txt", segment) == "[SPEAKER_00]: a < b\n"
    assert render("tsv", segment).endswith("\t[SPEAKER_00]: a < b\n")
    assert json.loads(render("json", segment))["segments"][0]["speaker"] == "SPEAKER_00"


# pysubs2 takes any line with two times for the head of a cue, with or without an arrow; the
# strict reader above has that text too.
@pytest.mark.parametrize("text", [text for text in HOSTILE if "00:00:01,000" not in text])
def test_pysubs2_reads_srt_as_it_was_meant(text: str) -> None:
    """A lenient reader sees hostile text as text: no tag, no drawing, no cue of its own."""
    before, after = segment_of(" before", 0, 1), segment_of(" after", 3, 4)
    rendered = render("srt", before, segment_of(text, 1, 3), after)
    events = pysubs2.SSAFile.from_string(rendered, format_="srt").events
    said = bare([text.translate(CONTROLS)])
    shown = [event.plaintext.translate(LOOK_ALIKES) for event in events]
    assert (shown[0], shown[-1]) == ("before", "after")
    assert bare(shown[1:-1]) == said


def test_vtt_escapes_markup() -> None:
    """Angle brackets and ampersands are written as the WebVTT standard asks."""
    assert "&lt;b&gt; R&amp;D --&gt;" in render("vtt", segment_of("<b> R&D -->", 0, 2))


def test_subtitle_times_are_rounded_to_milliseconds() -> None:
    """A sample is shown at the millisecond nearest to it, at any hour."""
    start = 10 * 3600 * SAMPLE_RATE_HZ + 23  # 1.4375 ms
    segment = Segment(start_sample=start, end_sample=start + 24, text=" a", language="en")
    assert "10:00:00,001 --> 10:00:00,003" in render("srt", segment)
    assert "10:00:00.001 --> 10:00:00.003" in render("vtt", segment)


def test_subtitles_are_laid_out_as_cues() -> None:
    """A long segment becomes as many subtitles as it has cues."""
    output = output_of([segment_of(" word" * 60, 0, 30)])
    assert (
        len(list(blocks(FORMATS["srt"].render(Rendering(output)))))
        == len(to_cues(output.segments, SubtitleParams()))
        > 3
    )


@given(segments=segment_lists())
def test_json_is_both_documents(segments: tuple[Segment, ...]) -> None:
    """The JSON holds the contract and `verbose_json`, with the same figures under both names."""
    output = output_of(segments)
    rendered = FORMATS["json"].render(Rendering(output))
    document = json.loads(rendered, parse_constant=_no_constant)
    assert TranscribeOutput.model_validate(_contract(document)) == output
    assert document["duration"] == output.input_duration_sec
    assert document["text"] == output.text
    assert len(document["segments"]) == len(segments)
    for shown in document["segments"]:
        assert (shown["start"], shown["end"]) == (shown["start_time_sec"], shown["end_time_sec"])
        assert shown.keys() >= VERBOSE_SEGMENT
        assert all(word.keys() >= VERBOSE_WORD for word in shown["words"])


VERBOSE_SEGMENT = {
    "id",
    "seek",
    "start",
    "end",
    "text",
    "tokens",
    "temperature",
    "avg_logprob",
    "compression_ratio",
    "no_speech_prob",
    "words",
}
VERBOSE_WORD = {"word", "start", "end", "probability"}
VERBOSE_ONLY = {"duration", "text", "words"}


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def _contract(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document without what only `verbose_json` has."""
    segments = [
        {name: value for name, value in shown.items() if name not in ("seek", "start", "end")}
        | {
            "words": [
                {name: value for name, value in word.items() if name not in ("start", "end")}
                for word in shown["words"]
            ]
        }
        for shown in document["segments"]
    ]
    kept = {name: value for name, value in document.items() if name not in VERBOSE_ONLY}
    return kept | {"segments": segments}


def test_json_keeps_letters_and_lists_words() -> None:
    """Letters are written as they are, and words also stand at the top, as OpenAI has them."""
    word = Word(start_sample=0, end_sample=8000, text=" été", probability=0.5)
    segment = segment_of(" été", 0, 1, "fr").model_copy(update={"words": (word,)})
    rendered = render("json", segment)
    assert " été" in rendered
    document = json.loads(rendered)
    assert document["words"] == [{"word": " été", "start": 0.0, "end": 0.5, "probability": 0.5}]
    assert (document["language"], document["task"]) == ("french", "transcribe")


def test_diarized_json_is_that_of_openai() -> None:
    """Segments with the fields and types that OpenAI documents, by speaker."""
    segments = (
        segment_of(" Hello.", 0, 1).model_copy(update={"speaker": "SPEAKER_00"}),
        segment_of(" Hi.", 1, 2.5).model_copy(update={"speaker": "SPEAKER_01"}),
    )
    document = json.loads(render("diarized_json", *segments))
    assert document["text"] == "Hello. Hi."
    assert (document["task"], document["duration"]) == ("transcribe", 2.5)
    assert document["usage"] == {"type": "duration", "seconds": 3}
    assert document["segments"][1] == {
        "type": "transcript.text.segment",
        "id": "seg_1",
        "start": 1.0,
        "end": 2.5,
        "text": " Hi.",
        "speaker": "SPEAKER_01",
    }


def test_txt_has_a_line_per_segment() -> None:
    """Line ends within a segment become blanks, and segments without text no lines."""
    assert render(
        "txt", segment_of(" a\nb", 0, 1), segment_of(" ", 1, 2), segment_of("c", 2, 3)
    ) == ("a b\nc\n")


def test_tsv_is_that_of_openai_whisper() -> None:
    """A header, then start and end in whole milliseconds and the text, parted by tabs."""
    segments = (segment_of(" a\tb\nc", 0.0005, 1.25), segment_of(" d", 2, 3))
    assert render("tsv", *segments) == "start\tend\ttext\n1\t1250\ta b c\n2000\t3000\td\n"
