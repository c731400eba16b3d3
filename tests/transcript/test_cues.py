"""Subtitle cues."""

from hypothesis import given

from longform.timeline import SAMPLE_RATE_HZ
from longform.transcript.cues import (
    MAX_CUE_SAMPLES,
    MAX_LINE_CHARACTERS,
    MAX_LINES,
    Cue,
    to_cues,
)
from longform.transcript.segment import Segment, Word
from longform.transcript.timed_text import bare
from tests.support.transcripts import output_of, segment_lists, segment_of


def cues_of(*segments: Segment) -> tuple[Cue, ...]:
    """Return the cues of segments."""
    return to_cues(output_of(segments).segments)


def spoken(
    text: str, word_sec: float = 0.3, pause_after: str = "", language: str = "en"
) -> Segment:
    """Return a segment with a word per `word_sec`, and 0.8 s of pause after the word named."""
    words, position = [], 0.0
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
    return segment_of(f" {text}", 0, position, language).model_copy(update={"words": tuple(words)})


@given(segments=segment_lists())
def test_no_text_is_lost_or_changed(segments: tuple[Segment, ...]) -> None:
    """The cues' texts joined are the segments' texts joined, up to whitespace."""
    lines = [line for cue in cues_of(*segments) for line in cue.lines]
    assert bare(lines) == bare(segment.text for segment in segments)


@given(segments=segment_lists())
def test_every_cue_can_be_read(segments: tuple[Segment, ...]) -> None:
    """No cue is longer than 2 lines of 42 characters or 7 s, none is blank, none overlaps."""
    earliest = 0
    for cue in cues_of(*segments):
        assert 1 <= len(cue.lines) <= MAX_LINES
        assert all(line.strip() and len(line) <= MAX_LINE_CHARACTERS for line in cue.lines)
        assert earliest <= cue.start_sample <= cue.end_sample
        assert cue.end_sample - cue.start_sample <= MAX_CUE_SAMPLES
        earliest = cue.end_sample


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
