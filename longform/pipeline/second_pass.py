"""Windows that hold two languages, or speech without words, are decoded again in parts."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from longform.audio import Span
from longform.chunking.micro_chunk import MicroChunk
from longform.pipeline.chunk_result import HeardMicro
from longform.speech.batching import Batcher
from longform.speech.engine import DecodeOptions, MicroResult
from longform.speech.language import LanguageVotes
from longform.speech.unheard_speech import alone, halves, unheard, widened, with_recovered
from longform.transcript.segment import Segment


async def second_pass(
    batcher: Batcher,
    options: DecodeOptions,
    languages: LanguageVotes,
    doubtful: Sequence[tuple[MicroChunk, HeardMicro]],
    rank: int | None = None,
) -> list[HeardMicro]:
    """Decode micro chunks again: in halves where one may hold two languages, then what is missing.

    What is missing is heard with its surroundings; without them where those leave it unclear
    which language it is. Parts of all micro chunks share batches.

    Args:
        batcher: the engine.
        options: as in the first attempt.
        languages: what the windows of the macro chunk have said about their language.
        doubtful: micro chunks, and what became of them.
        rank: of the macro chunk's stream, whose place in the queue this takes.

    Raises:
        RetryableError: the engine failed.
    """
    chunks = [chunk for chunk, _ in doubtful]
    results = [heard.result for _, heard in doubtful]
    last = options.model_copy(update={"halves_follow": False})
    decode = partial(_decode, batcher, last, languages, rank)

    cut = {i: halves(chunks[i]) for i, each in enumerate(results) if not each.is_sure_of_language}
    apart = iter(await decode([part for parts in cut.values() for part in parts]))
    for i, parts in cut.items():
        results[i] = _better(results[i], [next(apart) for _ in parts])

    unclear = await _recover(decode, widened, chunks, results, range(len(chunks)))
    await _recover(decode, alone, chunks, results, unclear)
    return [
        replace(heard, result=result, unheard=unheard(chunk, result.segments))
        for (chunk, heard), result in zip(doubtful, results, strict=True)
    ]


async def _recover(
    decode: Callable[[Sequence[MicroChunk]], Awaitable[list[MicroResult]]],
    window: Callable[[MicroChunk, Span], MicroChunk],
    chunks: Sequence[MicroChunk],
    results: list[MicroResult],
    among: Iterable[int],
) -> list[int]:
    """Put what is missing into results; return those where its language remained unclear."""
    missing = [(i, part) for i in among for part in unheard(chunks[i], results[i].segments)]
    found = await decode([window(chunks[i], part) for i, part in missing])
    for (i, part), again in zip(missing, found, strict=True):
        results[i] = with_recovered(results[i], again, part)
    pairs = zip(missing, found, strict=True)
    return sorted({i for (i, _), each in pairs if not each.is_sure_of_language})


async def _decode(
    batcher: Batcher,
    options: DecodeOptions,
    languages: LanguageVotes,
    rank: int | None,
    parts: Sequence[MicroChunk],
) -> list[MicroResult]:
    with batcher.open_stream(options, languages, rank) as stream:
        futures = [await asyncio.to_thread(stream.submit, part) for part in parts]
        stream.finish()
        return await asyncio.gather(*map(asyncio.wrap_future, futures))


def _better(whole: MicroResult, apart: Sequence[MicroResult]) -> MicroResult:
    """Return the more probable of the two: one window, or its halves on their own.

    A loop is never the better one, however sure of it the decoder is.
    """
    if not apart:
        return whole
    segments = tuple(segment for part in apart for segment in part.segments)
    num_again = len(apart) + sum(part.num_fallbacks for part in apart)
    engine_sec = whole.engine_sec + sum(part.engine_sec for part in apart)
    if _probability(segments) <= _probability(whole.segments):
        return replace(whole, num_fallbacks=whole.num_fallbacks + num_again, engine_sec=engine_sec)
    longest = max(apart, key=lambda part: sum(len(each.text) for each in part.segments))
    return replace(
        longest,
        segments=segments,
        num_fallbacks=whole.num_fallbacks + num_again,
        num_dropped_segments=sum(part.num_dropped_segments for part in apart),
        engine_sec=engine_sec,
    )


def _probability(segments: Sequence[Segment]) -> float:
    """Return the mean log probability of segments, weighted by the length of their text."""
    if any("repetition" in each.flags for each in segments):
        return float("-inf")
    scored = [(len(each.text), each.avg_logprob) for each in segments if each.avg_logprob]
    total = sum(length for length, _ in scored)
    return sum(length * score for length, score in scored) / total if total else float("-inf")
