"""The engine on faster-whisper: batched decoding with Whisper's fallback, window by window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from longform.chunking.micro_chunk import MicroChunk
from longform.speech import weights
from longform.speech.devices import choose_device, compute_types, load_whisper_model
from longform.speech.engine import DecodeOptions, Engine, EngineSpec, MicroRequest, MicroResult
from longform.speech.engines import engine_identity
from longform.speech.features import Features, choose_features, is_short
from longform.speech.out_of_memory import FittingEngine
from longform.speech.segmentation import TimedWord, split_words
from longform.speech.verdict import judge, least_bad, leaves_speech, made_up
from longform.speech.whisper_windows import (
    EncodedWindows,
    Hypothesis,
    WhisperWindows,
)
from longform.transcript.segment import DecodePath, Segment, Word

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

# The ladder of Whisper: the first rung that passes the verdict is taken.
_FALLBACK_TEMPERATURES = (0.2, 0.4, 0.6, 0.8, 1.0)


def create(spec: EngineSpec, home: Path) -> Engine:
    """Load the model of `spec`; weights are resolved on this machine and compared with it.

    Raises:
        UnknownModelError, WeightsError: from `weights.resolve`.
        EnvironmentFaultError: the device or the number type is not to be had here.
    """
    found = weights.resolve(spec.model, home, spec.model_sha256)
    device = choose_device(spec.device)

    def load(compute_type: str) -> Engine:
        model = load_whisper_model(found.path, device, compute_type, spec.cpu_threads)
        features = choose_features(spec.features, device, model.feature_extractor)
        return FasterWhisperEngine(model, features)

    return FittingEngine(load, compute_types(spec.compute_type, device))


class FasterWhisperEngine:
    """Decodes batches of micro chunks with one loaded model.

    Args:
        model: the loaded model.
        features: what computes its log-mel features.
    """

    def __init__(self, model: WhisperModel, features: Features) -> None:
        self._windows = WhisperWindows(model, features)

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
        chunks = [request.chunk for request in batch]
        first = self._first(encoded, chunks, codes, options)
        settled = [
            self._settle(encoded, index, codes[index], first[index], options)
            for index in range(len(batch))
        ]
        words = self._words(encoded, chunks, codes, [each.kept for each in settled], options)
        return [
            _result(chunks[index], spoken[index], settled[index], words.get(index, []), options)
            for index in range(len(batch))
        ]

    def _languages(
        self, batch: Sequence[MicroRequest], encoded: EncodedWindows, options: DecodeOptions
    ) -> list[tuple[str, float]]:
        if options.language is not None:
            return [(options.language, 1.0)] * len(batch)
        heard = self._windows.languages(encoded)
        return [
            request.languages.decide(request.chunk.span.start_sample, probabilities)
            for request, probabilities in zip(batch, heard, strict=True)
        ]

    def _first(
        self,
        encoded: EncodedWindows,
        chunks: Sequence[MicroChunk],
        codes: Sequence[str],
        options: DecodeOptions,
    ) -> dict[int, Hypothesis]:
        """Decode every window once: short ones with time stamps, where those reach its end."""
        found: dict[int, Hypothesis] = {}

        def decode(indices: list[int], with_timestamps: bool) -> None:
            if indices:
                languages = [codes[index] for index in indices]
                hypotheses = self._windows.generate(
                    encoded, indices, languages, options, with_timestamps=with_timestamps
                )
                found.update(zip(indices, hypotheses, strict=True))

        short = [i for i, chunk in enumerate(chunks) if is_short(chunk.span.num_samples)]
        decode(short, with_timestamps=True)
        whole = {i for i in short if not leaves_speech(chunks[i], found[i].heard_samples)}
        decode([i for i in range(len(chunks)) if i not in whole], with_timestamps=False)
        return found

    def _settle(
        self,
        encoded: EncodedWindows,
        index: int,
        language: str,
        first: Hypothesis,
        options: DecodeOptions,
    ) -> _Settled:
        """Climb the ladder of temperatures until the verdict is not `again`.

        A sample that says what was said before settles it too: a loop of the decoder seldom
        survives sampling word for word, a speaker who repeats himself does.
        """
        tried = [first]
        for temperature in _FALLBACK_TEMPERATURES:
            if judge(tried[-1].scores, options.fallback) != "again" or _repeats(tried):
                break
            tried += self._windows.generate(encoded, [index], [language], options, temperature)
        verdict = judge(tried[-1].scores, options.fallback)
        if verdict == "silence":
            return _Settled(None, len(tried) - 1)
        best = -1 if verdict == "good" else least_bad([each.scores for each in tried])
        return _Settled(tried[best], len(tried) - 1)

    def _words(
        self,
        encoded: EncodedWindows,
        chunks: Sequence[MicroChunk],
        codes: Sequence[str],
        kept: Sequence[Hypothesis | None],
        options: DecodeOptions,
    ) -> dict[int, list[TimedWord]]:
        """Align the windows that have text; one call for each language among them."""
        texts = {i: each.tokens for i, each in enumerate(kept) if each is not None and each.tokens}
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


@dataclass(frozen=True, slots=True)
class _Settled:
    """What is kept of a window (None: it is silence), and how often it was decoded again."""

    kept: Hypothesis | None
    num_fallbacks: int


def _repeats(tried: Sequence[Hypothesis]) -> bool:
    *earlier, last = (each.scores.text.casefold() for each in tried)
    return last in earlier


def _result(
    chunk: MicroChunk,
    spoken: tuple[str, float],
    settled: _Settled,
    words: list[TimedWord],
    options: DecodeOptions,
) -> MicroResult:
    code, probability = spoken
    if settled.kept is None:
        return MicroResult((), code, probability, settled.num_fallbacks)
    parts = split_words(words)
    said = [part for part in parts if not made_up(part, chunk.speech)]
    segments = tuple(_segment(part, code, settled.kept, options) for part in said)
    return MicroResult(
        segments, code, probability, settled.num_fallbacks, len(parts) - len(segments)
    )


def _segment(
    words: list[TimedWord], language: str, hypothesis: Hypothesis, options: DecodeOptions
) -> Segment:
    path: DecodePath = "beam" if options.beam_size > 1 else "greedy"
    return Segment(
        start_sample=words[0].span.start_sample,
        end_sample=words[-1].span.end_sample,
        text="".join(word.text for word in words),
        language=language,
        words=tuple(_word(word) for word in words) if options.word_timestamps else (),
        tokens=tuple(token for word in words for token in word.tokens),
        temperature=hypothesis.temperature,
        avg_logprob=hypothesis.scores.avg_logprob,
        no_speech_prob=hypothesis.scores.no_speech_prob,
        compression_ratio=hypothesis.scores.compression_ratio,
        decode_path="fallback" if hypothesis.temperature > 0 else path,
    )


def _word(word: TimedWord) -> Word:
    return Word(
        start_sample=word.span.start_sample,
        end_sample=word.span.end_sample,
        text=word.text,
        probability=word.probability,
    )
