"""The engine on faster-whisper: batched decoding with Whisper's fallback, window by window."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from longform.speech import weights
from longform.speech.engine import DecodeOptions, EngineSpec, MicroRequest, MicroResult
from longform.speech.engines import engine_identity
from longform.speech.segmentation import Piece, fit_to_speech, split_at_timestamps
from longform.speech.verdict import better_of, judge
from longform.speech.whisper_windows import EncodedWindows, Hypothesis, TimedWord, WhisperWindows
from longform.timeline import Span
from longform.transcript.segment import DecodePath, Segment, Word

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

# The ladder of Whisper: the first rung that passes the verdict is taken.
_FALLBACK_TEMPERATURES = (0.2, 0.4, 0.6, 0.8, 1.0)


def create(spec: EngineSpec, home: Path) -> FasterWhisperEngine:
    """Load the model of `spec`; weights are resolved on this machine and compared with it.

    Raises:
        UnknownModelError, WeightsError: from `weights.resolve`.
        EnvironmentFaultError: CUDA was asked for and is not there.
    """
    from longform.speech.devices import load_whisper_model

    found = weights.resolve(spec.model, home, spec.model_sha256)
    return FasterWhisperEngine(load_whisper_model(found.path, spec))


class FasterWhisperEngine:
    """Decodes batches of micro chunks with one loaded model.

    Args:
        model: the loaded model.
    """

    def __init__(self, model: WhisperModel) -> None:
        self._windows = WhisperWindows(model)

    @property
    def identity(self) -> str:
        """Versions of the libraries and of our decoder."""
        return engine_identity("faster_whisper")

    def transcribe(
        self, batch: Sequence[MicroRequest], options: DecodeOptions
    ) -> list[MicroResult]:
        """Decode a batch: encode, detect languages, search, judge, search again, align.

        Raises:
            RuntimeError: from CTranslate2, e.g. out of memory.
        """
        encoded = self._windows.encode([request.chunk.pcm for request in batch])
        spoken = self._languages(batch, encoded, options)
        codes = [code for code, _ in spoken]
        everything = range(len(batch))
        first = self._windows.generate(encoded, everything, codes, options)
        decoded = [self._settle(encoded, i, codes[i], first[i], options) for i in everything]
        words = self._words(encoded, batch, codes, [kept for kept, _ in decoded], options)
        return [
            self._result(batch[i], spoken[i], decoded[i], words.get(i, []), options)
            for i in everything
        ]

    def _languages(
        self, batch: Sequence[MicroRequest], encoded: EncodedWindows, options: DecodeOptions
    ) -> list[tuple[str, float]]:
        if options.language is not None:
            return [(options.language, 1.0)] * len(batch)
        return [
            request.languages.decide(request.chunk.span.start_sample, probabilities)
            for request, probabilities in zip(batch, self._windows.languages(encoded), strict=True)
        ]

    def _settle(
        self,
        encoded: EncodedWindows,
        index: int,
        language: str,
        first: Hypothesis,
        options: DecodeOptions,
    ) -> tuple[Hypothesis | None, int]:
        """Return the hypothesis to keep (None: silence) and how many more were decoded."""
        tried = [first]
        for temperature in _FALLBACK_TEMPERATURES:
            verdict = judge(tried[-1].scores, options.fallback)
            if verdict == "silence":
                return None, len(tried) - 1
            if verdict == "good":
                return tried[-1], len(tried) - 1
            tried += self._windows.generate(encoded, [index], [language], options, temperature)
        if judge(tried[-1].scores, options.fallback) == "good":
            return tried[-1], len(tried) - 1
        best = better_of([each.scores for each in tried], options.fallback)
        return tried[best], len(tried) - 1

    def _words(
        self,
        encoded: EncodedWindows,
        batch: Sequence[MicroRequest],
        codes: Sequence[str],
        kept: Sequence[Hypothesis | None],
        options: DecodeOptions,
    ) -> dict[int, list[TimedWord]]:
        """Align the windows that have text; one call for each language among them."""
        if not options.word_timestamps:
            return {}
        by_language: dict[str, list[int]] = defaultdict(list)
        for index, hypothesis in enumerate(kept):
            if hypothesis is not None and hypothesis.scores.text:
                by_language[codes[index]].append(index)
        words: dict[int, list[TimedWord]] = {}
        for code, indices in by_language.items():
            tokenizer = self._windows.tokenizer(code, options.task)
            texts = [_text_tokens(kept[i], tokenizer.eot) for i in indices]
            lengths = [batch[i].chunk.span.num_samples for i in indices]
            aligned = self._windows.align(encoded, indices, tokenizer, texts, lengths)
            words.update(zip(indices, aligned, strict=True))
        return words

    def _result(
        self,
        request: MicroRequest,
        spoken: tuple[str, float],
        decoded: tuple[Hypothesis | None, int],
        words: list[TimedWord],
        options: DecodeOptions,
    ) -> MicroResult:
        hypothesis, num_fallbacks = decoded
        code, probability = spoken
        if hypothesis is None:
            return MicroResult((), code, probability, num_fallbacks)
        tokenizer = self._windows.tokenizer(code, options.task)
        pieces = split_at_timestamps(
            hypothesis.tokens, tokenizer.timestamp_begin, request.chunk.span.num_samples
        )
        remaining = iter(words)
        segments = []
        for piece in pieces:
            text_tokens = [token for token in piece.tokens if token < tokenizer.eot]
            text = tokenizer.decode(text_tokens)
            taken = _take_words(remaining, len(text_tokens))
            if text.strip():
                segments.append(_segment(request, code, hypothesis, piece, text, taken, options))
        return MicroResult(tuple(segments), code, probability, num_fallbacks)


def _text_tokens(hypothesis: Hypothesis | None, eot: int) -> list[int]:
    return [token for token in hypothesis.tokens if token < eot] if hypothesis else []


def _take_words(words, num_tokens):
    taken = []
    while num_tokens > 0 and (word := next(words, None)) is not None:
        taken.append(word)
        num_tokens -= len(word.tokens)
    return taken


def _segment(request, code, hypothesis, piece, text, timed, options) -> Segment:
    chunk = request.chunk
    words = tuple(_word(word, chunk) for word in timed)
    offset = chunk.span.start_sample
    start = words[0].start_sample if words else offset + piece.start_sample
    end = words[-1].end_sample if words else offset + piece.end_sample
    path: DecodePath = "beam" if options.beam_size > 1 else "greedy"
    return Segment(
        start_sample=start,
        end_sample=max(start, end),
        text=text,
        language=code,
        words=words,
        tokens=piece.tokens,
        temperature=hypothesis.temperature,
        avg_logprob=hypothesis.scores.avg_logprob,
        no_speech_prob=hypothesis.scores.no_speech_prob,
        compression_ratio=hypothesis.scores.compression_ratio,
        decode_path="fallback" if hypothesis.temperature > 0 else path,
    )


def _word(timed: TimedWord, chunk) -> Word:
    start = min(timed.start_sample, chunk.span.num_samples) + chunk.span.start_sample
    end = min(timed.end_sample, chunk.span.num_samples) + chunk.span.start_sample
    fitted = fit_to_speech(Span(start, max(start, end)), chunk.speech)
    return Word(
        start_sample=fitted.start_sample,
        end_sample=fitted.end_sample,
        text=timed.text,
        probability=timed.probability,
    )
