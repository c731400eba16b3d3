"""Windows that hold two languages, or speech without words, are decoded again in parts."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace

from longform.chunking.micro_chunk import MicroChunk
from longform.macro_result import HeardMicro
from longform.speech.batching import Batcher
from longform.speech.engine import DecodeOptions, MicroResult
from longform.speech.language import LanguageTrack
from longform.speech.missing import halves, unheard, widened, with_recovered
from longform.transcript.segment import Segment


async def hear_again(
    batcher: Batcher,
    options: DecodeOptions,
    languages: LanguageTrack,
    chunk: MicroChunk,
    heard: HeardMicro,
) -> HeardMicro:
    """Decode a micro chunk again, in halves where it may hold two languages, then what is missing.

    Args:
        batcher: the engine.
        options: as in the first attempt.
        languages: what the windows of the macro chunk have said about their language.
        chunk: the micro chunk.
        heard: what became of it.

    Raises:
        RetryableError: the engine failed.
    """
    result, engine_sec = heard.result, heard.result.engine_sec
    if not result.is_sure_of_language and (parts := halves(chunk)):
        apart = [await _decode(batcher, options, languages, part) for part in parts]
        engine_sec += sum(part.engine_sec for part in apart)
        result = _better(result, apart)
    for region in unheard(chunk, result.segments):
        again = await _decode(batcher, options, languages, widened(chunk, region))
        engine_sec += again.engine_sec
        result = with_recovered(result, again, region)
    result = replace(result, engine_sec=engine_sec)
    return replace(heard, result=result, unheard=unheard(chunk, result.segments))


async def _decode(
    batcher: Batcher, options: DecodeOptions, languages: LanguageTrack, chunk: MicroChunk
) -> MicroResult:
    with batcher.open_stream(options, languages) as stream:
        future = await asyncio.to_thread(stream.submit, chunk)
        stream.finish()
        return await asyncio.wrap_future(future)


def _better(whole: MicroResult, apart: Sequence[MicroResult]) -> MicroResult:
    """Return the more probable of the two: one window, or its halves on their own."""
    segments = tuple(segment for part in apart for segment in part.segments)
    num_again = len(apart) + sum(part.num_fallbacks for part in apart)
    if _probability(segments) <= _probability(whole.segments):
        return replace(whole, num_fallbacks=whole.num_fallbacks + num_again)
    longest = max(apart, key=lambda part: sum(len(each.text) for each in part.segments))
    return replace(
        longest,
        segments=segments,
        num_fallbacks=whole.num_fallbacks + num_again,
        num_dropped_segments=sum(part.num_dropped_segments for part in apart),
    )


def _probability(segments: Iterable[Segment]) -> float:
    """Return the mean log probability of segments, weighted by the length of their text."""
    scored = [(len(each.text), each.avg_logprob) for each in segments if each.avg_logprob]
    total = sum(length for length, _ in scored)
    return sum(length * score for length, score in scored) / total if total else float("-inf")
