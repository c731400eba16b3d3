"""Whisper windows: encode micro chunks, detect their language, decode them, align words.

The parts of faster-whisper and CTranslate2 that deal with one batch of 30 s windows, behind
names of ours. Nothing here decides what is kept: see `assessment` and `faster_whisper_engine`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longform.audio import Pcm
from longform.chunking.micro_chunk import MicroChunk
from longform.speech.decode_quality import Scores, compression_ratio
from longform.speech.devices import seeded_model
from longform.speech.encoded_windows import EncodedWindows, encode
from longform.speech.engine import DecodeOptions
from longform.speech.features.protocol import Features
from longform.speech.replicas import ReplicaConfig, Replicas
from longform.speech.segmentation import TimedWord
from longform.transcript.segment import DecodePath

if TYPE_CHECKING:
    from faster_whisper import WhisperModel
    from faster_whisper.tokenizer import Tokenizer


from typing import TYPE_CHECKING

from longform.audio import Span, to_samples
from longform.speech.features.protocol import NUM_FRAMES, SAMPLES_PER_FRAME
from longform.speech.segmentation import fit_to_speech

if TYPE_CHECKING:
    from faster_whisper import WhisperModel
    from faster_whisper.tokenizer import Tokenizer

# Marks that belong to the word after or before them; Whisper's own lists.
_OPENING_MARKS = "\"'“¿([{-"
_CLOSING_MARKS = "\"'.。,，!！?？:：”)]}、"  # noqa: RUF001
_SAMPLES_PER_TIMESTAMP = 320  # Whisper's time stamps count in steps of 20 ms
_NUM_CANDIDATES = 5  # samples drawn at temperatures above 0, as in Whisper
# Of 105 windows, 102 were this sure in outline: of the same language, none unsure when heard whole.
_NO_DOUBT_PROBABILITY = 0.9


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One decoded window: its text as tokens, and their scores."""

    text: str  # as Whisper writes it: with a leading space in most languages
    tokens: tuple[int, ...]
    scores: Scores
    temperature: float
    path: DecodePath = "greedy"
    heard_samples: int | None = None  # up to where it was asked for time stamps, else None


class WhisperWindows:
    """A loaded model seen as operations on windows.

    Args:
        model: the loaded faster-whisper model.
        features: what computes its log-mel features.
        path: the folder of its weights.
        shape: the lanes that it was loaded with.
    """

    def __init__(
        self, model: WhisperModel, features: Features, path: Path, shape: ReplicaConfig
    ) -> None:
        self._model = model
        self._features = features
        self._path = path
        self._lanes = Replicas(shape.num_replicas)
        self._threads = shape.threads
        self._tokenizers: dict[tuple[str, str], Tokenizer] = {}

    def encode(self, recordings: Sequence[Pcm]) -> EncodedWindows:
        """Encode int16 audio of up to 30 s each."""
        return encode(self._model, self._features, self._lanes, recordings)

    def languages(self, encoded: EncodedWindows) -> list[list[tuple[str, float]]]:
        """Return, for each window, every language code with its probability, best first.

        On a CPU an outline of the window has to do where it leaves no doubt: it takes a third of
        the time.
        """
        if not self._model.model.is_multilingual:
            return [[("en", 1.0)]] * len(encoded.features)
        everything = range(len(encoded.features))
        if not encoded.on_cpu:
            return self._detect(encoded, encoded.select, everything)
        outlined = self._detect(encoded, encoded.outline, everything)
        in_doubt = [i for i in everything if outlined[i][0][1] < _NO_DOUBT_PROBABILITY]
        whole = dict(zip(in_doubt, self._detect(encoded, encoded.select, in_doubt), strict=True))
        return [whole.get(i, each) for i, each in enumerate(outlined)]

    def _detect(
        self,
        encoded: EncodedWindows,
        outputs: Callable[[Sequence[int]], Any],
        indices: Sequence[int],
    ) -> list[list[tuple[str, float]]]:
        detected = encoded.one_pass(
            lambda group: self._model.model.detect_language(outputs(group)), indices
        )
        return [[(token[2:-2], probability) for token, probability in each] for each in detected]

    def tokenizer(self, language: str, task: str) -> Tokenizer:
        """Return the tokenizer of a language and a task."""
        from faster_whisper.tokenizer import Tokenizer

        key = (language, task)
        if key not in self._tokenizers:
            multilingual = self._model.model.is_multilingual
            self._tokenizers[key] = Tokenizer(
                self._model.hf_tokenizer, multilingual, task=task, language=language
            )
        return self._tokenizers[key]

    def generate(
        self,
        encoded: EncodedWindows,
        indices: Sequence[int],
        languages: Sequence[str],
        options: DecodeOptions,
        *,
        with_timestamps: bool,
    ) -> list[Hypothesis]:
        """Decode the windows `indices`, each in its own language, a batch on each lane."""
        tokenizers = [self.tokenizer(language, options.task) for language in languages]
        prompts = [self._prompt(tokenizer, options, with_timestamps) for tokenizer in tokenizers]
        results = encoded.search(
            lambda places: self._search(
                self._model.model,
                encoded.select([indices[place] for place in places]),
                [prompts[place] for place in places],
                tokenizers[0],
                beam_size=options.beam_size,
                max_length=self._model.max_length,
            ),
            range(len(indices)),
        )
        path: DecodePath = "beam" if options.beam_size > 1 else "greedy"
        return [
            _hypothesis(tokenizer, result, 0.0, path)
            for tokenizer, result in zip(tokenizers, results, strict=True)
        ]

    @contextmanager
    def sampling(
        self, encoded: EncodedWindows, index: int, language: str, options: DecodeOptions, seed: int
    ) -> Iterator[Callable[[float], Hypothesis]]:
        """Lend a function from temperature to a sample of one window's text.

        The samples depend on the window, the seed and the order of the calls alone.
        """
        tokenizer = self.tokenizer(language, options.task)
        prompt = self._prompt(tokenizer, options, with_timestamps=False)
        with seeded_model(self._path, self._model, self._threads, seed) as model:

            def sample(temperature: float) -> Hypothesis:
                (result,) = self._search(
                    model,
                    encoded.select([index]),
                    [prompt],
                    tokenizer,
                    beam_size=1,
                    num_hypotheses=_NUM_CANDIDATES,
                    sampling_topk=0,
                    sampling_temperature=temperature,
                    max_length=self._model.max_length,
                )
                return _hypothesis(tokenizer, result, temperature, "fallback")

            yield sample

    def _search(
        self,
        model: Any,
        encoded: Any,
        prompts: list[list[int]],
        tokenizer: Tokenizer,
        **search: float,
    ) -> Any:
        from faster_whisper.transcribe import get_suppressed_tokens

        return model.generate(
            encoded,
            prompts,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=get_suppressed_tokens(tokenizer, [-1]),
            **search,
        )

    def _prompt(
        self, tokenizer: Tokenizer, options: DecodeOptions, with_timestamps: bool
    ) -> list[int]:
        spoken_before = options.initial_prompt
        previous = tokenizer.encode(" " + spoken_before.strip()) if spoken_before else []
        prompt: list[int] = self._model.get_prompt(
            tokenizer,
            previous,
            without_timestamps=not with_timestamps,
            hotwords=options.hotwords,
        )
        return prompt

    def align(
        self,
        encoded: EncodedWindows,
        indices: Sequence[int],
        tokenizer: Tokenizer,
        texts: Sequence[Sequence[int]],
        chunks: Sequence[MicroChunk],
    ) -> list[list[TimedWord]]:
        """Return the words of each text on the recording's timeline, punctuation attached.

        Cross-attention and dynamic time warping, as in Whisper's own word timestamps.

        Args:
            encoded: the windows.
            indices: which of them.
            tokenizer: of their common language and task.
            texts: the text tokens of each window.
            chunks: the micro chunk in each window; no word leaves its span.
        """
        from faster_whisper.transcribe import merge_punctuations

        def of_group(group: Sequence[int]) -> list[list[TimedWord]]:
            lengths = [-(-chunks[i].span.num_samples // SAMPLES_PER_FRAME) for i in group]
            aligned = self._model.find_alignment(
                tokenizer,
                [list(texts[i]) for i in group],
                encoded.select([indices[i] for i in group]),
                [min(length, NUM_FRAMES) for length in lengths],
            )
            for found in aligned:
                merge_punctuations(found, _OPENING_MARKS, _CLOSING_MARKS)
            return [
                [_timed_word(word, chunks[i]) for word in found if word["word"]]
                for i, found in zip(group, aligned, strict=True)
            ]

        return encoded.one_pass(of_group, range(len(indices)))


def _hypothesis(
    tokenizer: Tokenizer, result: Any, temperature: float, path: DecodePath
) -> Hypothesis:
    decoded = result.sequences_ids[0]
    tokens = [token for token in decoded if token < tokenizer.eot]
    stamps = [token for token in decoded if token >= tokenizer.timestamp_begin]
    text = tokenizer.decode(tokens)
    # CTranslate2's score is the mean over the tokens; Whisper also counts the end of text.
    avg_logprob = result.scores[0] * len(decoded) / (len(decoded) + 1)
    scores = Scores(text.strip(), avg_logprob, result.no_speech_prob, compression_ratio(text))
    heard = (stamps[-1] - tokenizer.timestamp_begin) * _SAMPLES_PER_TIMESTAMP if stamps else None
    return Hypothesis(text, tuple(tokens), scores, temperature, path, heard)


def _timed_word(word: dict[str, Any], chunk: MicroChunk) -> TimedWord:
    start, end = (
        min(to_samples(float(word[edge])), chunk.span.num_samples) + chunk.span.start_sample
        for edge in ("start", "end")
    )
    span = fit_to_speech(Span(start, max(start, end)), chunk.speech)
    return TimedWord(word["word"], tuple(word["tokens"]), span, float(word["probability"]))
