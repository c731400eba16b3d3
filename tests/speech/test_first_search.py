"""How a window is searched first, and what spares it the ladder; windows that follow a script."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from longform.audio import SAMPLE_RATE_HZ, Span
from longform.chunking.micro_chunk import MicroChunk
from longform.speech import faster_whisper_engine
from longform.speech.decode_quality import Scores
from longform.speech.engine import DecodeOptions, MicroRequest
from longform.speech.faster_whisper_engine import FasterWhisperEngine
from longform.speech.language import LanguageVotes
from longform.speech.replicas import ReplicaConfig
from longform.speech.segmentation import TimedWord
from longform.speech.whisper_windows import Hypothesis


@dataclass
class Windows:
    """Windows that are all heard alike; what is asked of them is written down."""

    language_probability: float = 0.99
    avg_logprob: float = -0.05
    ends_short: bool = False
    searches: list[bool] = field(default_factory=list)  # with time stamps
    num_ladders: int = 0

    def encode(self, recordings: Sequence[Any]) -> None:
        """Encode nothing."""

    def languages(self, encoded: Any) -> list[list[tuple[str, float]]]:
        """Return English with the scripted probability, Italian with the rest."""
        return [[("en", self.language_probability), ("it", 1 - self.language_probability)]]

    def tokenizer(self, language: str, task: str) -> None:
        """Return none."""

    def generate(
        self,
        encoded: Any,
        indices: Sequence[int],
        languages: Sequence[str],
        options: DecodeOptions,
        *,
        with_timestamps: bool,
    ) -> list[Hypothesis]:
        """Return the scripted scores."""
        self.searches.append(with_timestamps)
        end = (2 if self.ends_short else 30) * SAMPLE_RATE_HZ
        heard = end if with_timestamps else None
        return [self._hypothesis(self.avg_logprob, heard) for _ in indices]

    @contextmanager
    def sampling(self, *_: Any) -> Iterator[Any]:
        """Lend a sampler that hears well."""
        self.num_ladders += 1
        yield lambda temperature: self._hypothesis(-0.2, None)

    def align(self, encoded: Any, indices: Sequence[int], *_: Any) -> list[list[TimedWord]]:
        """Return one word in the first second of speech."""
        return [[TimedWord(" text", (1,), at(0, 1), 0.9)] for _ in indices]

    def _hypothesis(self, avg_logprob: float, heard: int | None) -> Hypothesis:
        scores = Scores("text", avg_logprob, 0.0, 1.0)
        return Hypothesis(" text", (1,), scores, 0.0, "beam", heard)


def at(start_sec: int, end_sec: int) -> Span:
    """Return a span in seconds."""
    return Span(start_sec * SAMPLE_RATE_HZ, end_sec * SAMPLE_RATE_HZ)


def hear(
    monkeypatch: pytest.MonkeyPatch, windows: Windows, *speech: Span, halves_follow: bool = False
) -> tuple[str, ...]:
    """Transcribe one micro chunk up to the end of its speech; return the flags of its text."""
    monkeypatch.setattr(faster_whisper_engine, "WhisperWindows", lambda *_: windows)
    engine = FasterWhisperEngine(cast(Any, None), cast(Any, None), Path(), ReplicaConfig())
    span = Span(0, speech[-1].end_sample)
    chunk = MicroChunk(span, np.zeros(span.num_samples, np.int16), speech)
    request = MicroRequest(chunk, LanguageVotes(), halves_follow)
    (result,) = engine.transcribe([request], DecodeOptions())
    return result.segments[0].flags


@pytest.mark.parametrize(
    ("windows", "end_sec", "searches"),
    [
        (Windows(), 28, [False]),
        (Windows(), 9, [True]),
        (Windows(ends_short=True), 9, [True, False]),
    ],
    ids=["long", "short", "short, and its end is missing"],
)
def test_time_stamps_are_for_short_windows(
    monkeypatch: pytest.MonkeyPatch, windows: Windows, end_sec: int, searches: list[bool]
) -> None:
    """A short window is searched with time stamps, and without where they leave speech out."""
    hear(monkeypatch, windows, at(0, end_sec))
    assert windows.searches == searches


@pytest.mark.parametrize(
    ("probability", "halves_follow", "num_ladders"),
    [(0.5, True, 0), (0.5, False, 1), (0.99, True, 1)],
    ids=["unsure, halves follow", "unsure, nothing follows", "sure"],
)
def test_what_is_to_be_halved_is_not_sampled(
    monkeypatch: pytest.MonkeyPatch, probability: float, halves_follow: bool, num_ladders: int
) -> None:
    """Two languages in one window are not told apart by sampling: its text stays, with a flag."""
    windows = Windows(language_probability=probability, avg_logprob=-1.5)
    marks = hear(monkeypatch, windows, at(0, 13), at(15, 28), halves_follow=halves_follow)
    assert windows.num_ladders == num_ladders
    assert marks == (() if num_ladders else ("low_confidence",))


def test_what_cannot_be_halved_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a pause there are no halves to wait for."""
    windows = Windows(language_probability=0.5, avg_logprob=-1.5)
    hear(monkeypatch, windows, at(0, 28), halves_follow=True)
    assert windows.num_ladders == 1
