"""What is kept of a macro chunk: its segments, and what became of every sample of it."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from longform.audio import Span, complement, require_tiling, to_seconds
from longform.speech.engine import MicroResult
from longform.transcript.segment import ChunkResult, ChunkStats, CoverageKind, Interval

NO_WORDS = "no words were heard"  # the detail of speech that stayed empty


@dataclass(frozen=True, slots=True)
class HeardMicro:
    """A micro chunk that was decoded; `unheard` is speech in it that stayed without words."""

    span: Span
    result: MicroResult
    unheard: tuple[Span, ...] = ()


def to_chunk_result(
    *,
    key: str,
    index: int,
    own: Span,
    heard: Sequence[HeardMicro],
    non_speech: Sequence[Span],
    heard_span: Span,
    is_open_ended: bool,
    worker: str,
    started_sec: float,
) -> ChunkResult:
    """Return the result of a macro chunk; its coverage tiles what was decoded of `own`.

    Args:
        key: content key.
        index: number of the chunk.
        own: the planned span, without guards.
        heard: its micro chunks, in order.
        non_speech: what was left out between them; both tile `heard_span`.
        heard_span: the planned span with its guards.
        is_open_ended: whether it ends where the audio does, wherever that is.
        worker: who decoded it.
        started_sec: when, in Unix time.
    """
    parts = [part for micro in heard for part in _speech(micro)]
    parts += [(span, "non_speech", "") for span in non_speech]
    parts.sort()
    spans = [span for span, _, _ in parts]
    start = heard_span.start_sample
    require_tiling(spans, Span(start, spans[-1].end_sample if spans else start))
    end = max(spans[-1].end_sample if spans else start, own.start_sample)
    decoded = Span(own.start_sample, end if is_open_ended else min(end, own.end_sample))
    ended_sec = time.time()
    return ChunkResult(
        key=key,
        index=index,
        start_sample=decoded.start_sample,
        end_sample=decoded.end_sample,
        guard_before_samples=own.start_sample - start,
        guard_after_samples=max(0, end - decoded.end_sample),
        segments=tuple(
            segment.model_copy(update={"macro_chunk": index, "micro_chunk": number})
            for number, micro in enumerate(heard)
            for segment in micro.result.segments
        ),
        coverage=_within(decoded, parts),
        languages=_languages(decoded, heard),
        stats=_stats([micro.result for micro in heard], worker, started_sec, ended_sec),
    )


def _speech(micro: HeardMicro) -> list[tuple[Span, CoverageKind, str]]:
    silent = [part for each in micro.unheard if (part := each.intersection(micro.span))]
    heard: list[tuple[Span, CoverageKind, str]] = [
        (span, "speech", "") for span in complement(silent, micro.span)
    ]
    return heard + [(span, "speech", NO_WORDS) for span in silent]


def _within(decoded: Span, parts: Iterable[tuple[Span, CoverageKind, str]]) -> tuple[Interval, ...]:
    """Cut the parts to the chunk's own span: a guard is covered by the chunk that it lies in."""
    clipped = ((span.intersection(decoded), kind, detail) for span, kind, detail in parts)
    return tuple(
        Interval(
            start_sample=span.start_sample, end_sample=span.end_sample, kind=kind, detail=detail
        )
        for span, kind, detail in clipped
        if span is not None
    )


def _languages(decoded: Span, heard: Iterable[HeardMicro]) -> dict[str, float]:
    samples: Counter[str] = Counter()
    for micro in heard:
        own = micro.span.intersection(decoded)
        if micro.result.segments and own is not None:
            samples[micro.result.language] += own.num_samples
    return {code: to_seconds(count) for code, count in samples.items()}


def _stats(
    results: Sequence[MicroResult], worker: str, started_sec: float, ended_sec: float
) -> ChunkStats:
    return ChunkStats(
        worker=worker,
        processing_sec=ended_sec - started_sec,
        engine_sec=sum(result.engine_sec for result in results),
        started_at_unix_sec=started_sec,
        ended_at_unix_sec=ended_sec,
        num_micro_chunks=len(results),
        num_fallbacks=sum(result.num_fallbacks for result in results),
        num_dropped_segments=sum(result.num_dropped_segments for result in results),
        num_recovered_words=sum(result.num_recovered_words for result in results),
    )
