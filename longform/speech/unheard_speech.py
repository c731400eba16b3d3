"""The parts of a window that are worth a window of their own.

Without time stamps a decoder may end its text in the middle of a window and leave the rest
unheard, however clear that is. And one window has one language: of two that are spoken in it
the other is lost, or translated.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from longform.audio import SAMPLE_RATE_HZ, Span
from longform.chunking.micro_chunk import MicroChunk
from longform.speech.engine import MicroResult
from longform.transcript.segment import Segment, Word, part_of

# Breath, laughter and drawn-out vowels pass for speech without words for less than this.
MIN_UNHEARD_SAMPLES = 3 * SAMPLE_RATE_HZ // 2  # 1.5 s
# Words on both sides, so that those at the edges are heard in their surroundings.
_WIDER_SAMPLES = 2 * SAMPLE_RATE_HZ  # 2 s
# What is heard only at the second attempt must be more likely right than wrong.
_MIN_PROBABILITY = 0.5
# Less speech than this does not tell its language.
_MIN_HALF_SAMPLES = 3 * SAMPLE_RATE_HZ  # 3 s


def unheard(chunk: MicroChunk, segments: Sequence[Segment]) -> tuple[Span, ...]:
    """Return where speech was detected and no words were heard, from speech to speech.

    Words that were timed alone count; where they were not, whole segments do.
    """
    spoken = sorted((p.start_sample, p.end_sample) for p in _timed(segments))
    starts = [chunk.span.start_sample, *(end for _, end in spoken)]
    ends = [*(start for start, _ in spoken), chunk.span.end_sample]
    between = [Span(start, end) for start, end in zip(starts, ends, strict=True) if start < end]
    found = (_speech_in(gap, chunk.speech) for gap in between)
    return tuple(
        Span(parts[0].start_sample, parts[-1].end_sample)
        for parts in found
        if sum(part.num_samples for part in parts) >= MIN_UNHEARD_SAMPLES
    )


def widened(chunk: MicroChunk, region: Span) -> MicroChunk:
    """Return the part of a micro chunk around `region`, to be decoded again on its own."""
    span = Span(
        max(chunk.span.start_sample, region.start_sample - _WIDER_SAMPLES),
        min(chunk.span.end_sample, region.end_sample + _WIDER_SAMPLES),
    )
    return _part(chunk, span)


def alone(chunk: MicroChunk, region: Span) -> MicroChunk:
    """Return `region` of a micro chunk without its surroundings, which may be another language."""
    return _part(chunk, region)


def halves(chunk: MicroChunk) -> tuple[MicroChunk, ...]:
    """Cut a micro chunk in its longest pause, if both sides hold enough speech; else nothing."""
    pauses = [Span(a.end_sample, b.start_sample) for a, b in pairwise(chunk.speech)]
    for pause in sorted(pauses, key=lambda each: each.num_samples, reverse=True):
        cut = (pause.start_sample + pause.end_sample) // 2
        sides = (Span(chunk.span.start_sample, cut), Span(cut, chunk.span.end_sample))
        parts = tuple(_part(chunk, side) for side in sides)
        if all(_num_spoken(part) >= _MIN_HALF_SAMPLES for part in parts):
            return parts
    return ()


def with_recovered(result: MicroResult, again: MicroResult, region: Span) -> MicroResult:
    """Return `result` with the words that another attempt has heard in `region`, if probable."""
    recovered = [part for each in again.segments for part in _inside(each, region)]
    return replace(
        result,
        segments=tuple(
            sorted((*result.segments, *recovered), key=lambda segment: segment.start_sample)
        ),
        num_fallbacks=result.num_fallbacks + 1 + again.num_fallbacks,
        engine_sec=result.engine_sec + again.engine_sec,
        num_recovered_words=result.num_recovered_words
        + sum(len(part.words) or 1 for part in recovered),
    )


def _part(chunk: MicroChunk, span: Span) -> MicroChunk:
    offset = span.start_sample - chunk.span.start_sample
    pcm = chunk.pcm[offset : offset + span.num_samples]
    return MicroChunk(span, pcm, tuple(_speech_in(span, chunk.speech)))


def _num_spoken(chunk: MicroChunk) -> int:
    return sum(part.num_samples for part in chunk.speech)


def _inside(segment: Segment, region: Span) -> list[Segment]:
    if segment.flags:
        return []
    if not segment.words:
        return [segment] if _is_in(segment, region) else []
    words = [word for word in segment.words if _is_in(word, region)]
    known = [word.probability for word in words if word.probability is not None]
    if not words or (known and sum(known) / len(known) < _MIN_PROBABILITY):
        return []
    return [part_of(segment, words)]


def _is_in(part: Word | Segment, region: Span) -> bool:
    middle = (part.start_sample + part.end_sample) // 2
    return region.start_sample <= middle < region.end_sample


def _timed(segments: Iterable[Segment]) -> list[Word | Segment]:
    return [part for segment in segments for part in segment.words or (segment,)]


def _speech_in(span: Span, speech: Sequence[Span]) -> list[Span]:
    return [part for each in speech if (part := each.intersection(span)) is not None]
