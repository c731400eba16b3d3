"""What a page says and holds, read from the document itself."""

import json
import re

from hypothesis import given, settings

from longform.transcript.formats import FORMATS
from longform.transcript.formats.rendering import Rendering
from longform.transcript.page.contents import blocks, doubtful, figures
from longform.transcript.page.page_data import page_data, shown_text
from longform.transcript.segment import Segment
from tests.page.page_recordings import spoken, transcript
from tests.support.transcripts import output_of, segment_lists


@given(segment_lists())
@settings(max_examples=60)
def test_every_word_lies_where_the_data_says(segments: tuple[Segment, ...]) -> None:
    """Each word's place and length, in UTF-16 units, cut that very word out of the shown text."""
    output = output_of(segments)
    data = json.loads(page_data(output))
    for segment, (_, _, words) in zip(output.segments, data["segments"], strict=True):
        units = shown_text(segment).encode("utf-16-le")
        cut = [
            units[2 * words[at] : 2 * (words[at] + words[at + 1])].decode("utf-16-le")
            for at in range(0, len(words), 5)
        ]
        shown = [shown_text(segment.model_copy(update={"text": w.word})) for w in segment.words]
        remaining = iter(shown)
        assert all(any(word == candidate for candidate in remaining) for word in cut)


@given(segment_lists())
@settings(max_examples=60)
def test_the_document_holds_no_markup_of_the_transcript(segments: tuple[Segment, ...]) -> None:
    """Whatever the text, the document has the scripts of the template and no others."""
    document = FORMATS["html"].render(Rendering(output_of(segments)))
    assert len(re.findall(r"<script\b", document)) == len(re.findall(r"</script>", document)) == 7
    assert "\x00" not in document


def test_the_same_transcript_gives_the_same_page() -> None:
    """Nothing in a page depends on when or where it is made."""
    output = transcript(spoken(["the same words again"]))
    assert FORMATS["html"].render(Rendering(output)) == FORMATS["html"].render(Rendering(output))


def test_the_least_certain_come_first() -> None:
    """Passages are ranked by the mean probability of their words; short ones are left out."""
    sure, unsure = spoken(["one two three four", "a b c d e f g h i j"])
    short = spoken(["no"], 30)[0]
    output = transcript([sure, unsure, short])
    assert [row.index for row in doubtful(output)] == [1, 0]
    assert doubtful(output)[1].percent == 95


def test_rows_are_in_order_of_time_in_blocks() -> None:
    """Every segment is in one block, in order."""
    output = transcript(spoken(["a few words"] * 45))
    found = [row for block in blocks(output) for row in block]
    assert [row.index for row in found if row.kind == "segment"] == list(range(45))
    assert max(map(len, blocks(output))) == 20


def test_figures_say_what_there_is() -> None:
    """Duration, words and certainty are there; kinds that do not occur are not."""
    rows = dict(figures(transcript(spoken(["one two three four"]))))
    assert rows["Duration"] == "0:02"
    assert rows["Words"] == "4"
    assert rows["Mean certainty of a word"] == "95 %"
    assert "of which failed" not in rows
