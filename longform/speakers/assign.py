"""Whose words are whose: turns laid over the words and segments of a transcript."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, groupby

from longform.audio import SAMPLE_RATE_HZ, Span
from longform.speakers.turns import Turn
from longform.transcript.segment import Segment, Word

# Word times and turns come from different models: a word this near to a turn belongs to it.
_NEAR_SAMPLES = SAMPLE_RATE_HZ // 2  # 0.5 s


def assign_speakers(segments: Sequence[Segment], turns: Sequence[Turn]) -> tuple[Segment, ...]:
    """Return segments and words with their speakers; a segment is split where those change.

    A word belongs to the speaker with whom it overlaps most, else to one who is near, else to
    the one of the words around it. No text and no word is lost. Parts of a split segment keep
    its scores, which are those of its window, but no tokens.

    Args:
        segments: in order.
        turns: by start.
    """
    index = _TurnIndex(turns)
    return tuple(part for segment in segments for part in _parts(segment, index))


def _parts(segment: Segment, index: "_TurnIndex") -> Iterator[Segment]:
    if "".join(word.text for word in segment.words).split() != segment.text.split():
        speaker = index.speaker(Span(segment.start_sample, segment.end_sample))
        words = tuple(replace(word, speaker=speaker) for word in segment.words)
        yield segment.model_copy(update={"speaker": speaker, "words": words})
        return
    named = _named(segment.words, index)
    groups = [(speaker, tuple(words)) for speaker, words in groupby(named, lambda w: w.speaker)]
    if len(groups) < 2:
        speaker = groups[0][0] if groups else None
        yield segment.model_copy(update={"speaker": speaker, "words": tuple(named)})
        return
    for speaker, words in groups:
        yield segment.model_copy(
            update={
                "start_sample": words[0].start_sample,
                "end_sample": words[-1].end_sample,
                "text": "".join(word.text for word in words),
                "words": words,
                "tokens": (),
                "speaker": speaker,
            }
        )


def _named(words: Sequence[Word], index: "_TurnIndex") -> list[Word]:
    speakers = [index.speaker(Span(word.start_sample, word.end_sample)) for word in words]
    last = next((speaker for speaker in speakers if speaker), None)
    named = []
    for word, speaker in zip(words, speakers, strict=True):
        last = speaker or last
        named.append(replace(word, speaker=last))
    return named


class _TurnIndex:
    """Turns, to be found by time. They overlap, so their ends are not in order."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._turns = turns
        self._starts = [turn.start_sample for turn in turns]
        self._latest_ends = list(accumulate((turn.end_sample for turn in turns), max))

    def speaker(self, span: Span) -> str | None:
        """Return who speaks most in a span, else who is nearest to it, else None."""
        shares: Counter[str] = Counter()
        near: list[tuple[int, str]] = []
        for turn in self._around(span):
            common = turn.span.intersection(span)
            shares[turn.speaker] += common.num_samples if common else 0
            gap = max(turn.start_sample - span.end_sample, span.start_sample - turn.end_sample)
            near.append((gap, turn.speaker))
        if shares and max(shares.values()) > 0:
            return min(shares, key=lambda name: (-shares[name], name))
        return min(near)[1] if near else None

    def _around(self, span: Span) -> Sequence[Turn]:
        first = bisect_right(self._latest_ends, span.start_sample - _NEAR_SAMPLES)
        last = bisect_left(self._starts, span.end_sample + _NEAR_SAMPLES)
        return [
            turn
            for turn in self._turns[first:last]
            if turn.end_sample > span.start_sample - _NEAR_SAMPLES
        ]
