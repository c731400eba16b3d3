"""The engine on faster-whisper: batched decoding with Whisper's fallback, window by window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from longform.audio import Span
from longform.chunking.micro_chunk import MicroChunk
from longform.speech import weights
from longform.speech.decode_quality import (
    is_doubtful,
    is_misaligned,
    is_outside,
    misses_trailing_speech,
)
from longform.speech.devices import choose_device, compute_types, load_whisper_model
from longform.speech.encoded_windows import EncodedWindows
from longform.speech.engine import DecodeOptions, Engine, EngineSpec, MicroRequest, MicroResult
from longform.speech.engines import engine_identity
from longform.speech.fallback import Decided, TemperatureFallback
from longform.speech.features.choose import choose_features
from longform.speech.features.protocol import Features, is_short
from longform.speech.language import is_sure, only_among
from longform.speech.oom_fallback import OomFallbackEngine
from longform.speech.replicas import ReplicaConfig, replica_config
from longform.speech.segmentation import TimedWord, split_words
from longform.speech.unheard_speech import halves
from longform.speech.whisper_windows import Hypothesis, WhisperWindows
from longform.transcript.segment import Flag, Segment, Word

if TYPE_CHECKING:
    from faster_whisper import WhisperModel


def create(spec: EngineSpec, home: Path) -> Engine:
    """Load the model of `spec`; weights are resolved on this machine and compared with it.

    Raises:
        UnknownModelError, WeightsError: from `weights.resolve`.
        EnvironmentFaultError: the device or the number type is not to be had here.
    """
    found = weights.resolve(spec.model, home, spec.model_sha256)
    device = choose_device(spec.device)
    shape = replica_config(device, spec.cpu_threads, spec.batch_size)

    def load(compute_type: str) -> Engine:
        model = load_whisper_model(found.path, device, compute_type, shape)
        features = choose_features(spec.features, device, model.feature_extractor)
        return FasterWhisperEngine(model, features, found.path, shape)

    return OomFallbackEngine(load, compute_types(spec.compute_type, device))


class FasterWhisperEngine:
    """Decodes batches of micro chunks with one loaded model.

    Args:
        model: the loaded model.
        features: what computes its log-mel features.
        path: the folder of its weights.
        shape: the lanes that it was loaded with.
    """

    def __init__(
        self, model: WhisperModel, features: Features, path: Path, shape: ReplicaConfig
    ) -> None:
        self._windows = WhisperWindows(model, features, path, shape)

    @property
    def identity(self) -> str:
        """Versions of the libraries and of our decoder."""
        return engine_identity("faster_whisper")

    def transcribe(
        self, batch: Sequence[MicroRequest], options: DecodeOptions
    ) -> list[MicroResult]:
        """Decode a batch: encode, detect languages, search, assess, search again, align.

        Raises:
            RuntimeError: from CTranslate2, e.g. out of memory.
        """
        encoded = self._windows.encode([request.chunk.pcm for request in batch])
        spoken = self._languages(batch, encoded, options)
        codes = [each.language for each in spoken]
        chunks = [request.chunk for request in batch]
        first = self._first(encoded, chunks, codes, options)
        fallback = TemperatureFallback(self._windows, encoded, options)
        # Sampling does not make one language of two: halves do, and they come next.
        halved = {
            index
            for index, chunk in enumerate(chunks)
            if batch[index].halves_follow and not spoken[index].is_sure and halves(chunk)
        }
        decided = [
            fallback.accept(first[index])
            if index in halved
            else fallback.decide(index, chunk, codes[index], first[index])
            for index, chunk in enumerate(chunks)
        ]
        words = self._words(encoded, chunks, codes, decided, options)
        for index in _misaligned(chunks, decided, words) - halved:
            decided[index] = fallback.resample(index, chunks[index], codes[index], first[index])
            again = [each if i == index else Decided(None) for i, each in enumerate(decided)]
            words |= {index: []} | self._words(encoded, chunks, codes, again, options)
        return [
            _result(chunk, spoken[index], decided[index], words.get(index, []), options)
            for index, chunk in enumerate(chunks)
        ]

    def _languages(
        self, batch: Sequence[MicroRequest], encoded: EncodedWindows, options: DecodeOptions
    ) -> list[Spoken]:
        if options.language is not None:
            return [Spoken(options.language, 1.0)] * len(batch)
        heard = [
            only_among(options.languages, probabilities)
            for probabilities in self._windows.languages(encoded)
        ]
        return [
            Spoken(
                *request.languages.decide(request.chunk.span.start_sample, probabilities),
                is_sure(probabilities),
            )
            for request, probabilities in zip(batch, heard, strict=True)
        ]

    def _first(
        self,
        encoded: EncodedWindows,
        chunks: Sequence[MicroChunk],
        codes: Sequence[str],
        options: DecodeOptions,
    ) -> dict[int, Hypothesis]:
        """Decode every window: short ones with time stamps, where those reach its end.

        A greedy search before the beam would cost three quarters of one, and be done again for
        more than one window in four.
        """
        found: dict[int, Hypothesis] = {}

        def search(indices: list[int], with_timestamps: bool) -> None:
            if indices:
                hypotheses = self._windows.generate(
                    encoded,
                    indices,
                    [codes[index] for index in indices],
                    options,
                    with_timestamps=with_timestamps,
                )
                found.update(zip(indices, hypotheses, strict=True))

        short = [i for i, chunk in enumerate(chunks) if is_short(chunk.span.num_samples)]
        search(short, with_timestamps=True)
        whole = {i for i in short if not misses_trailing_speech(chunks[i], found[i].heard_samples)}
        search([i for i in range(len(chunks)) if i not in whole], with_timestamps=False)
        return found

    def _words(
        self,
        encoded: EncodedWindows,
        chunks: Sequence[MicroChunk],
        codes: Sequence[str],
        decided: Sequence[Decided],
        options: DecodeOptions,
    ) -> dict[int, list[TimedWord]]:
        """Align the windows that have text; one call for each language among them."""
        kept = {i: each.kept for i, each in enumerate(decided) if each.kept is not None}
        texts = {i: each.tokens for i, each in kept.items() if each.tokens}
        words: dict[int, list[TimedWord]] = {}
        for code in sorted({codes[index] for index in texts}):
            indices = [index for index in texts if codes[index] == code]
            aligned = self._windows.align(
                encoded,
                indices,
                self._windows.tokenizer(code, options.task),
                [texts[index] for index in indices],
                [chunks[index] for index in indices],
            )
            words.update(zip(indices, aligned, strict=True))
        return words


class Spoken(NamedTuple):
    """The language of a window, how probable it is (0-1), and whether it says so itself."""

    language: str
    probability: float
    is_sure: bool = True


def _misaligned(
    chunks: Sequence[MicroChunk], decided: Sequence[Decided], words: dict[int, list[TimedWord]]
) -> set[int]:
    """Return the windows to redo because of words where there is no speech; each once at most."""
    return {
        index
        for index, found in words.items()
        if not decided[index].num_fallbacks and is_misaligned(found, chunks[index].speech)
    }


def _result(
    chunk: MicroChunk,
    spoken: Spoken,
    decided: Decided,
    words: list[TimedWord],
    options: DecodeOptions,
) -> MicroResult:
    empty = MicroResult(
        (),
        spoken.language,
        spoken.probability,
        decided.num_fallbacks,
        is_sure_of_language=spoken.is_sure,
    )
    if decided.kept is None or not decided.kept.text.strip():
        return empty
    parts = split_words(words if _spell(words, decided.kept) else [_unaligned(chunk, decided.kept)])
    segments: list[Segment] = []
    for part in parts:
        is_beside = is_outside(part, chunk.speech)
        is_wrong = is_doubtful(part) or decided.flags or not chunk.speech
        if not (is_beside and is_wrong):
            marks: tuple[Flag, ...] = ("outside_speech",) if is_beside else ()
            segments.append(_segment(part, spoken, decided, (*decided.flags, *marks), options))
    return replace(empty, segments=tuple(segments), num_dropped_segments=len(parts) - len(segments))


def _spell(words: Sequence[TimedWord], kept: Hypothesis) -> bool:
    """Return whether the words make the text; alignment may leave tokens out."""
    return "".join(word.text for word in words).split() == kept.text.split()


def _unaligned(chunk: MicroChunk, kept: Hypothesis) -> TimedWord:
    """Return the text of a window as one word, where alignment has given it no times."""
    speech = chunk.speech or (chunk.span,)
    span = Span(speech[0].start_sample, speech[-1].end_sample)
    return TimedWord(kept.text, kept.tokens, span, math.exp(kept.scores.avg_logprob))


def _segment(
    words: list[TimedWord],
    spoken: Spoken,
    decided: Decided,
    marks: tuple[Flag, ...],
    options: DecodeOptions,
) -> Segment:
    kept = decided.kept
    assert kept is not None
    return Segment(
        start_sample=words[0].span.start_sample,
        end_sample=words[-1].span.end_sample,
        text="".join(word.text for word in words),
        language=spoken.language,
        language_probability=spoken.probability,
        words=tuple(_word(word) for word in words) if options.word_timestamps else (),
        tokens=tuple(token for word in words for token in word.tokens),
        temperature=kept.temperature,
        avg_logprob=kept.scores.avg_logprob,
        no_speech_prob=kept.scores.no_speech_prob,
        compression_ratio=kept.scores.compression_ratio,
        decode_path=kept.path,
        flags=marks,
    )


def _word(word: TimedWord) -> Word:
    return Word(
        start_sample=word.span.start_sample,
        end_sample=word.span.end_sample,
        text=word.text,
        probability=word.probability,
    )
