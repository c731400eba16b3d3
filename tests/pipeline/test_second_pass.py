"""Second attempts inside a macro chunk: speech without words, and windows with two languages."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from longform.audio import SAMPLE_RATE_HZ, Span
from longform.chunking.micro_chunk import MicroChunk
from longform.pipeline.chunk_result import HeardMicro
from longform.pipeline.second_pass import second_pass
from longform.speech.batching import Batcher
from longform.speech.engine import DecodeOptions, MicroRequest, MicroResult
from longform.speech.language import LanguageVotes
from longform.speech.unheard_speech import unheard
from longform.transcript.segment import Segment

Hear = Callable[[MicroChunk], MicroResult]


class Engine:
    """An engine that says what a function makes of each chunk, and remembers what it was asked."""

    identity = "scripted"

    def __init__(self, hear: Hear) -> None:
        self._hear = hear
        self.spans: list[Span] = []
        self.options: list[DecodeOptions] = []

    def transcribe(
        self, batch: Sequence[MicroRequest], options: DecodeOptions
    ) -> list[MicroResult]:
        """Answer one chunk after the other."""
        self.spans += [request.chunk.span for request in batch]
        self.options.append(options)
        return [self._hear(request.chunk) for request in batch]


@contextmanager
def batcher_of(engine: Engine) -> Iterator[Batcher]:
    """Lend a batcher and close it."""
    batcher = Batcher(engine, batch_size=2)
    try:
        yield batcher
    finally:
        batcher.close()


def at(start_sec: float, end_sec: float) -> Span:
    """Return a span in seconds."""
    return Span(round(start_sec * SAMPLE_RATE_HZ), round(end_sec * SAMPLE_RATE_HZ))


def micro(*speech: Span) -> MicroChunk:
    """Return a window of 30 s."""
    return MicroChunk(at(0, 30), np.zeros(30 * SAMPLE_RATE_HZ, np.int16), speech)


def said(span: Span, language: str = "en", logprob: float = -0.2) -> Segment:
    """Return a segment without words."""
    return Segment(
        start_sample=span.start_sample,
        end_sample=span.end_sample,
        text=" text",
        language=language,
        avg_logprob=logprob,
    )


async def test_what_was_missed_is_heard_in_a_window_of_its_own() -> None:
    """Only the part without words is decoded again, with 2 s around it, and its text added."""
    chunk, first = micro(at(0, 28)), MicroResult((said(at(0, 15)),), "en", 0.99)
    engine = Engine(lambda part: MicroResult((said(at(15, 28)),), "en", 0.99))
    heard = HeardMicro(chunk.span, first, unheard(chunk, first.segments))
    with batcher_of(engine) as batcher:
        (after,) = await second_pass(batcher, DecodeOptions(), LanguageVotes(), [(chunk, heard)])
    assert engine.spans == [at(13, 30)]
    assert [(s.start_sample, s.end_sample) for s in after.result.segments] == [
        (0, 15 * SAMPLE_RATE_HZ),
        (15 * SAMPLE_RATE_HZ, 28 * SAMPLE_RATE_HZ),
    ]
    assert (after.unheard, after.result.num_recovered_words) == ((), 1)


async def test_what_stays_empty_is_told() -> None:
    """One more attempt is made, not a second; what it does not hear is left as unheard."""
    chunk, first = micro(at(0, 28)), MicroResult((said(at(0, 15)),), "en", 0.99)
    engine = Engine(lambda part: MicroResult((), "en", 0.99))
    heard = HeardMicro(chunk.span, first, unheard(chunk, first.segments))
    with batcher_of(engine) as batcher:
        (after,) = await second_pass(batcher, DecodeOptions(), LanguageVotes(), [(chunk, heard)])
    assert len(engine.spans) == 1
    assert after.unheard == (at(15, 28),)
    assert after.result.segments == first.segments


async def test_a_window_with_two_languages_is_halved_where_that_is_more_probable() -> None:
    """Each half has its own language; the whole is kept where the halves are no better."""
    chunk = micro(at(0, 13), at(15, 30))
    first = MicroResult((said(chunk.span, "it", -0.6),), "it", 0.5, is_sure_of_language=False)

    def halves_say(logprob: float) -> Hear:
        def hear(part: MicroChunk) -> MicroResult:
            language = "en" if part.span.start_sample == 0 else "it"
            return MicroResult((said(part.speech[0], language, logprob),), language, 0.99)

        return hear

    for logprob, languages in ((-0.1, ["en", "it"]), (-0.9, ["it"])):
        engine = Engine(halves_say(logprob))
        with batcher_of(engine) as batcher:
            doubtful = [(chunk, HeardMicro(chunk.span, first))]
            (after,) = await second_pass(batcher, DecodeOptions(), LanguageVotes(), doubtful)
        assert engine.spans == [at(0, 14), at(14, 30)]
        assert [segment.language for segment in after.result.segments] == languages
        assert after.result.num_fallbacks == 2


async def test_a_loop_is_not_better_than_halves() -> None:
    """A decoder is sure of its loops: halves that are less probable replace one."""
    chunk = micro(at(0, 13), at(15, 30))
    loop = said(chunk.span, "it", -0.01).model_copy(update={"flags": ("repetition",)})
    first = MicroResult((loop,), "it", 0.5, is_sure_of_language=False)
    engine = Engine(lambda part: MicroResult((said(part.speech[0]),), "en", 0.99))
    with batcher_of(engine) as batcher:
        doubtful = [(chunk, HeardMicro(chunk.span, first))]
        (after,) = await second_pass(batcher, DecodeOptions(), LanguageVotes(), doubtful)
    assert [segment.language for segment in after.result.segments] == ["en", "en"]


async def test_what_is_missing_is_heard_alone_where_its_surroundings_hide_its_language() -> None:
    """French behind English: with 2 s of English before it nothing is heard, alone it is."""
    chunk, first = micro(at(0, 28)), MicroResult((said(at(0, 15)),), "en", 0.99)

    def hear(part: MicroChunk) -> MicroResult:
        if part.span.start_sample < at(15, 28).start_sample:
            return MicroResult((), "en", 0.5, is_sure_of_language=False)
        return MicroResult((said(at(15, 28), "fr"),), "fr", 0.99)

    engine = Engine(hear)
    heard = HeardMicro(chunk.span, first, unheard(chunk, first.segments))
    with batcher_of(engine) as batcher:
        (after,) = await second_pass(batcher, DecodeOptions(), LanguageVotes(), [(chunk, heard)])
    assert engine.spans == [at(13, 30), at(15, 28)]
    assert [segment.language for segment in after.result.segments] == ["en", "fr"]
    assert after.unheard == ()


async def test_second_attempts_share_batches_and_are_the_last_ones() -> None:
    """What is missing in two micro chunks is decoded in one call, of which no halves follow."""
    chunks = [micro(at(0, 28)), micro(at(0, 28))]
    first = MicroResult((said(at(0, 15)),), "en", 0.99)
    engine = Engine(lambda part: MicroResult((said(at(15, 28)),), "en", 0.99))
    doubtful = [(chunk, HeardMicro(chunk.span, first)) for chunk in chunks]
    with batcher_of(engine) as batcher:
        options = DecodeOptions(halves_follow=True)
        after = await second_pass(batcher, options, LanguageVotes(), doubtful)
        assert batcher.stats.num_batches == 1
    assert [heard.result.num_recovered_words for heard in after] == [1, 1]
    assert engine.options == [DecodeOptions()]
