"""How a window is searched first, and what spares it the ladder; windows that follow a script."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from longform.chunking.micro_chunk import MicroChunk
from longform.speech import faster_whisper_engine
from longform.speech.engine import DecodeOptions, MicroRequest
from longform.speech.faster_whisper_engine import FasterWhisperEngine
from longform.speech.language import LanguageTrack
from longform.speech.segmentation import TimedWord
from longform.speech.verdict import Scores
from longform.speech.whisper_windows import Hypothesis
from longform.timeline import SAMPLE_RATE_HZ, Span


@dataclass
class Windows:
    """Windows that are all heard alike; what is asked of them is written down."""

    language_probability: float = 0.99
    avg_logprob: float = -0.05
    is_cut_off: bool = False
    searches: list[tuple[int, bool, bool]] = field(default_factory=list)
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
        beam_size: int,
        with_timestamps: bool,
        is_final: bool,
    ) -> list[Hypothesis]:
        """Return the scripted scores."""
        self.searches.append((beam_size, with_timestamps, is_final))
        heard = 30 * SAMPLE_RATE_HZ if with_timestamps else None
        is_cut_off = self.is_cut_off and not is_final
        return [self._hypothesis(self.avg_logprob, heard, is_cut_off) for _ in indices]

    @contextmanager
    def sampling(self, *_: Any) -> Iterator[Any]:
        """Lend a sampler that hears well."""
        self.num_ladders += 1
        yield lambda temperature: self._hypothesis(-0.2, None, False)

    def align(self, encoded: Any, indices: Sequence[int], *_: Any) -> list[list[TimedWord]]:
        """Return one word in the first second of speech."""
        return [[TimedWord(" text", (1,), at(0, 1), 0.9)] for _ in indices]

    def _hypothesis(self, avg_logprob: float, heard: int | None, is_cut_off: bool) -> Hypothesis:
        scores = Scores("text", avg_logprob, 0.0, 1.0)
        return Hypothesis(" text", (1,), scores, 0.0, "greedy", heard, is_cut_off)


def at(start_sec: int, end_sec: int) -> Span:
    """Return a span in seconds."""
    return Span(start_sec * SAMPLE_RATE_HZ, end_sec * SAMPLE_RATE_HZ)


def hear(
    monkeypatch: pytest.MonkeyPatch, windows: Windows, *speech: Span, halves_follow: bool = False
) -> tuple[str, ...]:
    """Transcribe one micro chunk up to the end of its speech; return the flags of its text."""
    monkeypatch.setattr(faster_whisper_engine, "WhisperWindows", lambda *_: windows)
    engine = FasterWhisperEngine(cast(Any, None), cast(Any, None), Path(), 1)
    span = Span(0, speech[-1].end_sample)
    chunk = MicroChunk(span, np.zeros(span.num_samples, np.int16), speech)
    options = DecodeOptions(halves_follow=halves_follow)
    (result,) = engine.transcribe([MicroRequest(chunk, LanguageTrack())], options)
    return result.segments[0].flags


def test_a_short_window_is_searched_with_a_beam_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine seconds: one search, with a beam and with time stamps."""
    windows = Windows()
    hear(monkeypatch, windows, at(0, 9))
    assert windows.searches == [(5, True, True)]


@pytest.mark.parametrize(
    ("windows", "num_searches"),
    [(Windows(), 1), (Windows(avg_logprob=-0.3), 2), (Windows(is_cut_off=True), 2)],
    ids=["sure", "unsure", "cut off"],
)
def test_a_beam_follows_where_greedy_search_is_unsure_or_stopped(
    monkeypatch: pytest.MonkeyPatch, windows: Windows, num_searches: int
) -> None:
    """Greedy search comes first in a long window; what it leaves open, a beam settles."""
    hear(monkeypatch, windows, at(0, 28))
    assert windows.searches == [(1, False, False), (5, False, True)][:num_searches]


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
