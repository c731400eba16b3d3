"""Speakers of words and segments."""

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from longform.audio import SAMPLE_RATE_HZ, Span, to_samples
from longform.speakers.assign import assign_speakers
from longform.speakers.turns import Turn, labelled
from longform.transcript.segment import Segment, Word
from tests.support.transcripts import segment_lists, segment_of


def turn(start_sec: float, end_sec: float, speaker: str) -> Turn:
    """Return a turn."""
    start, end = to_samples(start_sec), to_samples(end_sec)
    return Turn(start_sample=start, end_sample=end, speaker=speaker)


def said(*words: str, at_sec: float = 0.0) -> Segment:
    """Return a segment with a word per second."""
    timed = tuple(
        Word(
            start_sample=to_samples(at_sec + number),
            end_sample=to_samples(at_sec + number + 1),
            text=f" {word}",
        )
        for number, word in enumerate(words)
    )
    segment = segment_of("".join(word.text for word in timed), at_sec, at_sec + len(words))
    return segment.model_copy(update={"words": timed, "tokens": (1, 2)})


@st.composite
def turn_lists(draw: st.DrawFn) -> tuple[Turn, ...]:
    """Draw turns of up to three speakers, overlapping or not."""
    parts = st.tuples(st.integers(0, 400_000), st.integers(1, 200_000), st.integers(0, 2))
    drawn = draw(st.lists(parts, max_size=8))
    return labelled((Span(start, start + length), who) for start, length, who in drawn).turns


@given(segments=segment_lists(), turns=turn_lists())
def test_nothing_that_was_said_is_lost(
    segments: tuple[Segment, ...], turns: tuple[Turn, ...]
) -> None:
    """Text and words come out once and in order, and segments stay in order of time."""
    found = assign_speakers(segments, turns)
    assert "".join("".join(part.text.split()) for part in found) == "".join(
        "".join(segment.text.split()) for segment in segments
    )
    words = [word for part in found for word in part.words]
    said_words = [word for segment in segments for word in segment.words]
    assert [replace(word, speaker=None) for word in words] == said_words
    starts = [part.start_sample for part in found]
    assert starts == sorted(starts)


@given(segments=segment_lists(), turns=turn_lists())
def test_a_word_is_of_who_overlaps_it_most(
    segments: tuple[Segment, ...], turns: tuple[Turn, ...]
) -> None:
    """Wherever somebody speaks during a word, nobody speaks longer during it than its speaker."""
    for part in assign_speakers(segments, turns):
        if "".join(word.text for word in part.words).split() != part.text.split():
            continue
        for word in part.words:
            assert word.speaker == part.speaker
            shares: Counter[str] = Counter()
            for one in turns:
                common = one.span.intersection(Span(word.start_sample, word.end_sample))
                shares[one.speaker] += common.num_samples if common else 0
            if shares.total():
                assert word.speaker is not None
                assert shares[word.speaker] == max(shares.values())


def test_a_segment_is_split_where_the_speaker_changes() -> None:
    """Each part has its own words and times; tokens belong to the whole and are dropped."""
    segment = said("how", "are", "you", "fine")
    first, second = assign_speakers([segment], [turn(0, 3.2, "A"), turn(3.2, 4, "B")])
    assert (first.text, first.speaker, first.end_sample) == (" how are you", "A", to_samples(3))
    assert (second.text, second.speaker, second.start_sample) == (" fine", "B", to_samples(3))
    assert first.tokens == second.tokens == ()
    [whole] = assign_speakers([segment], [turn(0, 4, "A")])
    assert (whole.tokens, whole.speaker) == ((1, 2), "A")


def test_words_outside_all_turns_follow_their_neighbours() -> None:
    """A word between turns belongs to who is near, else to the word before, else the one after."""
    segment = said("um", "well", "so", "then", "yes")
    turns = [turn(1.2, 2, "A"), turn(4.3, 5, "B")]
    found = assign_speakers([segment], turns)
    assert [word.speaker for part in found for word in part.words] == ["A", "A", "A", "B", "B"]


def test_a_segment_without_words_has_one_speaker() -> None:
    """Without word times the majority of the segment's time decides."""
    segment = segment_of(" hello", 0, 10)
    [part] = assign_speakers([segment], [turn(0, 4, "A"), turn(4, 10, "B")])
    assert part.speaker == "B"
    [far] = assign_speakers([segment], [turn(20, 30, "A")])
    assert far.speaker is None


def test_labels_follow_the_order_of_first_words() -> None:
    """Whatever numbers a diarizer gives, the first voice is SPEAKER_00."""
    turns = labelled([(Span(SAMPLE_RATE_HZ, 20_000), 3), (Span(0, 100), 7), (Span(200, 300), 3)])
    assert [one.speaker for one in turns.turns] == ["SPEAKER_00", "SPEAKER_01", "SPEAKER_01"]
