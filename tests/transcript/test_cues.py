"""Subtitle cues."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longform.audio import SAMPLE_RATE_HZ, to_samples
from longform.errors import ParameterError
from longform.params import SubtitleParams, parse_params
from longform.transcript.cues import Cue, to_cues
from longform.transcript.segment import Segment, Word
from longform.transcript.text_pieces import bare, display_width, pieces
from tests.support.transcripts import output_of, segment_lists, segment_of

DEFAULT = SubtitleParams()
# As the words are timed, without a longer stand for slow readers.
AS_SPOKEN = SubtitleParams(min_cue_sec=0.0, max_chars_per_sec=100.0)
MAX_LINE_CHARACTERS = DEFAULT.max_line_width
MAX_CUE_SAMPLES = to_samples(DEFAULT.max_cue_sec)

layouts = st.builds(
    SubtitleParams,
    max_line_width=st.integers(10, 90),
    max_line_count=st.integers(1, 4),
    max_words_per_line=st.one_of(st.none(), st.integers(1, 12)),
    max_cue_sec=st.floats(2, 10),
    min_cue_sec=st.floats(0, 2),
    max_chars_per_sec=st.floats(5, 100),
)


def cues_of(*segments: Segment, layout: SubtitleParams = AS_SPOKEN) -> tuple[Cue, ...]:
    """Return the cues of segments."""
    output = output_of(segments)
    return to_cues(output.segments, layout, to_samples(output.input_duration_sec))


def spoken(
    text: str, word_sec: float = 0.3, pause_after: str = "", language: str = "en", at_sec: float = 0
) -> Segment:
    """Return a segment with a word per `word_sec`, and 0.8 s of pause after the word named."""
    words, position = [], at_sec
    for word in text.split(" "):
        start, position = position, position + word_sec
        words.append(
            Word(
                start_sample=round(start * SAMPLE_RATE_HZ),
                end_sample=round(position * SAMPLE_RATE_HZ),
                text=f" {word}",
            )
        )
        position += 0.8 if word == pause_after else 0.0
    segment = segment_of(f" {text}", at_sec, position, language)
    return segment.model_copy(update={"words": tuple(words)})


@given(segments=segment_lists(), layout=layouts)
def test_no_text_is_lost_or_changed(segments: tuple[Segment, ...], layout: SubtitleParams) -> None:
    """Every word stands once and in order, whatever the layout: only whitespace differs."""
    lines = [line for cue in cues_of(*segments, layout=layout) for line in cue.lines]
    assert bare(lines) == bare(segment.text for segment in segments)


@given(segments=segment_lists(), layout=layouts)
def test_every_cue_keeps_the_limits(segments: tuple[Segment, ...], layout: SubtitleParams) -> None:
    """No cue has too many or too wide lines, or stands too long; none is blank or overlaps."""
    earliest = 0
    for cue in cues_of(*segments, layout=layout):
        assert 1 <= len(cue.lines) <= layout.max_line_count
        assert all(line.strip() for line in cue.lines)
        assert all(display_width(line) <= layout.max_line_width for line in cue.lines)
        assert earliest <= cue.start_sample <= cue.end_sample
        assert cue.end_sample - cue.start_sample <= to_samples(layout.max_cue_sec)
        earliest = cue.end_sample


@given(segments=segment_lists(), layout=layouts)
def test_cues_hold_no_more_words_than_asked_for(
    segments: tuple[Segment, ...], layout: SubtitleParams
) -> None:
    """With a limit of words there are at least as many cues as that many words need."""
    count = sum(
        len(pieces(segment, layout.max_line_width)) for segment in output_of(segments).segments
    )
    cues = cues_of(*segments, layout=layout)
    assert len(cues) >= -(-count // (layout.max_words_per_line or 1_000_000))


@given(segments=segment_lists(), layout=layouts)
def test_a_cue_stands_until_it_is_read(
    segments: tuple[Segment, ...], layout: SubtitleParams
) -> None:
    """A cue that is shorter than its reading time ends where the next begins, or the recording."""
    cues = cues_of(*segments, layout=layout)
    last_sample = to_samples(output_of(segments).input_duration_sec)
    for cue, after in pairwise([*cues, None]):
        to_read_sec = sum(map(len, cue.lines)) / layout.max_chars_per_sec
        wanted_sec = min(max(to_read_sec, layout.min_cue_sec), layout.max_cue_sec)
        latest = last_sample if after is None else after.start_sample
        held = cue.end_sample - cue.start_sample
        assert held >= to_samples(wanted_sec) or cue.end_sample >= latest


@given(segments=segment_lists(), layout=layouts)
def test_words_of_a_cue_are_where_they_say(
    segments: tuple[Segment, ...], layout: SubtitleParams
) -> None:
    """Words of a cue have times in order within it, and lie in its lines in order."""
    for cue in cues_of(*segments, layout=layout):
        position, place = cue.start_sample, (0, 0)
        for word in cue.words:
            assert position <= word.start_sample <= word.end_sample <= cue.end_sample
            assert place <= (word.line, word.start) < (word.line, word.end)
            assert cue.lines[word.line][word.start : word.end].strip()
            position, place = word.end_sample, (word.line, word.end)


def test_a_segment_that_fits_stays_whole() -> None:
    """A short segment is one cue, though it holds the end of a sentence."""
    assert [cue.lines for cue in cues_of(spoken("Yes. That is it."))] == [("Yes. That is it.",)]


def test_sentence_ends_are_preferred_to_pauses_and_commas() -> None:
    """A cut goes to the end of a sentence before a later pause, and there before a comma."""
    start = "We went there in the early morning."
    cues = cues_of(
        spoken(f"{start} Nobody was there yet but, as we all saw, it was open", 0.2, "but,")
    )
    assert " ".join(cues[0].lines) == start
    start = "We went there in the early morning though"
    cues = cues_of(
        spoken(f"{start} nobody, as far as we saw, was there to let us in", 0.2, "though")
    )
    assert " ".join(cues[0].lines) == start
    start = "We went there in the early morning,"
    cues = cues_of(spoken(f"{start} though nobody at all was in there to let us in then", 0.2))
    assert " ".join(cues[0].lines) == start


def test_times_are_those_of_the_words() -> None:
    """A cue starts with its first word and ends with its last."""
    segment = spoken("one two three four five six seven eight nine ten " * 3 + "end", 0.5)
    for cue in cues_of(segment):
        words = [w for w in segment.words if cue.start_sample <= w.start_sample < cue.end_sample]
        assert " ".join(cue.lines) == "".join(word.text for word in words).strip()
        assert (cue.start_sample, cue.end_sample) == (words[0].start_sample, words[-1].end_sample)


def test_without_words_time_follows_the_text() -> None:
    """A long segment without words is cut between words, at times in proportion to its text."""
    text = " " + "word " * 40
    cues = cues_of(segment_of(text, 10, 30))
    assert cues[0].start_sample == 10 * SAMPLE_RATE_HZ
    assert cues[-1].end_sample == 30 * SAMPLE_RATE_HZ
    assert all(set(" ".join(cue.lines).split()) == {"word"} for cue in cues)
    share = len(bare(cues[0].lines)) / len(bare([text]))
    assert abs(cues[0].end_sample / SAMPLE_RATE_HZ - 10 - 20 * share) < 0.2


def test_languages_without_spaces_are_cut_at_their_own_marks() -> None:
    """Japanese without words breaks after a full stop, and never before one."""
    sentence = "これは長い文章なので字幕として読めるように二つに分けなければなりません。"
    cues = cues_of(segment_of(sentence * 4, 0, 20, "ja"))
    assert len(cues) > 1
    assert all(cue.lines[-1].endswith("。") for cue in cues)
    assert not any(line.startswith("。") for cue in cues for line in cue.lines)


def test_marks_stay_with_their_letter() -> None:
    """A Thai vowel sign above a letter is never parted from it."""
    cues = cues_of(segment_of("กี่" * 60, 0, 20, "th"))
    assert all(line.startswith("ก") for cue in cues for line in cue.lines)


def test_a_word_longer_than_a_line_is_broken() -> None:
    """A word of 100 letters is shown in full, over several lines."""
    cues = cues_of(segment_of("x" * 100, 0, 3))
    assert bare(line for cue in cues for line in cue.lines) == "x" * 100
    assert max(len(line) for cue in cues for line in cue.lines) == MAX_LINE_CHARACTERS


def test_a_word_that_stands_too_long_is_taken_away() -> None:
    """A word of 10 s is shown for 7 s from its start."""
    [cue] = cues_of(spoken("Ommm", word_sec=10))
    assert (cue.start_sample, cue.end_sample) == (0, MAX_CUE_SAMPLES)


def test_overlapping_segments_follow_each_other() -> None:
    """Where one segment starts before the last has ended, its cue waits for that end."""
    first, second = cues_of(segment_of(" a", 0, 3), segment_of(" b", 2, 4))
    assert first.end_sample == second.start_sample == 3 * SAMPLE_RATE_HZ


def test_words_that_say_something_else_give_no_times() -> None:
    """The text of a segment is what is shown, though its words are others."""
    wrong = spoken("some other words").words
    segment = segment_of(" the text", 0, 2).model_copy(update={"words": wrong})
    assert cues_of(segment) == (Cue(0, 2 * SAMPLE_RATE_HZ, ("the text",)),)


def test_a_sentence_goes_on_in_the_next_segment() -> None:
    """Two segments that are one sentence without a pause become one cue; two sentences do not."""
    [cue] = cues_of(spoken("this was cut"), spoken("in the middle.", at_sec=1.0))
    assert cue.lines == ("this was cut in the middle.",)
    assert len(cues_of(spoken("This ends."), spoken("This begins.", at_sec=1.0))) == 2
    assert len(cues_of(spoken("after this"), spoken("a pause.", at_sec=2.0))) == 2


def test_lines_and_words_can_be_limited() -> None:
    """A line of 12 in cues of one line; and cues of three words."""
    segment = spoken("one two three four five six seven")
    narrow = cues_of(segment, layout=SubtitleParams(max_line_width=12, max_line_count=1))
    assert [cue.lines for cue in narrow] == [
        ("one two",),
        ("three four",),
        ("five six",),
        ("seven",),
    ]
    few = cues_of(segment, layout=SubtitleParams(max_words_per_line=3))
    assert [cue.lines for cue in few] == [("one two three",), ("four five six",), ("seven",)]


def test_lines_are_of_nearly_equal_length() -> None:
    """Text that needs two lines is broken in its middle, not where the first one is full."""
    [cue] = cues_of(spoken("alpha bravo charlie delta echo foxtrot golf hotel", 0.2))
    assert cue.lines == ("alpha bravo charlie delta", "echo foxtrot golf hotel")


def test_wide_characters_take_two_columns() -> None:
    """A line of 42 columns holds 21 Japanese characters."""
    cues = cues_of(segment_of("あ" * 60, 0, 10, "ja"))
    assert max(len(line) for cue in cues for line in cue.lines) <= 21


def test_right_to_left_text_is_cut_like_any_other() -> None:
    """Arabic keeps its words in the order in which they are said, and its own full stop counts."""
    text = "ذهبنا إلى هناك في الصباح الباكر؟ لم يكن هناك أحد بعد"
    text += " ولكن الباب كان مفتوحا للجميع في ذلك اليوم"
    cues = cues_of(spoken(text, 0.2, language="ar"))
    assert " ".join(line for cue in cues for line in cue.lines) == text
    assert cues[0].lines[-1].endswith("؟")


def test_a_short_cue_is_held() -> None:
    """A word of 0.3 s stands for 0.8 s, and never into the next cue or past the end."""
    yes, later = cues_of(spoken("Yes."), spoken("Well then.", at_sec=5.0), layout=DEFAULT)
    assert yes.end_sample == to_samples(0.8)
    assert later.end_sample == to_samples(5.6)  # the recording ends there
    close, _ = cues_of(spoken("Yes."), spoken("Well then.", at_sec=0.5), layout=DEFAULT)
    assert close.end_sample == to_samples(0.5)


def test_channels_stand_beside_each_other() -> None:
    """Cues of two channels may overlap and say whose they are; those of one may not."""
    left = spoken("I was talking all the time.").model_copy(update={"channel": 1})
    right = spoken("So was I.", at_sec=0.5).model_copy(update={"channel": 2})
    first, second = cues_of(left, right)
    assert (first.voice, second.voice) == ("channel 1", "channel 2")
    assert second.start_sample == to_samples(0.5) < first.end_sample


def test_words_without_times_are_not_marked() -> None:
    """Cues of segments without word times have no words to highlight, and are else the same."""
    segment = spoken("one two three")
    [timed] = cues_of(segment)
    [untimed] = cues_of(segment.model_copy(update={"words": ()}))
    assert untimed == replace(timed, words=())


def test_highlighting_needs_word_times() -> None:
    """Asking for highlighted words without word times is an error that names both."""
    with pytest.raises(ParameterError, match="highlight_words needs word_timestamps"):
        parse_params({"word_timestamps": False, "subtitles": {"highlight_words": True}})
