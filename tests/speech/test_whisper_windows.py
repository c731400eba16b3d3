"""Whisper windows: how the language of each is found without looking at all of it."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from longform.speech.encoded_windows import EncodedWindows
from longform.speech.replicas import ReplicaConfig, Replicas
from longform.speech.whisper_windows import WhisperWindows

NUM_POSITIONS = 1_500
D_MODEL = 2


class Detector:
    """Takes a window for Dutch, in outline less surely where its first number says so."""

    is_multilingual = True

    def __init__(self) -> None:
        self.num_positions: list[int] = []

    def detect_language(self, outputs: Any) -> list[list[tuple[str, float]]]:
        """Note how much of each window is looked at."""
        windows = np.array(outputs)
        self.num_positions += [windows.shape[1]] * len(windows)
        seen_whole = windows.shape[1] == NUM_POSITIONS
        return [
            [("<|nl|>", 0.7 if seen_whole else float(window[0, 0])), ("<|de|>", 0.1)]
            for window in windows
        ]


def windows_of(model: Any) -> WhisperWindows:
    """Return the operations on windows of a model."""
    return WhisperWindows(
        cast(Any, Model(model)), cast(Any, None), Path(), ReplicaConfig(num_replicas=2, threads=1)
    )


class Model:
    """faster-whisper's model, of which only CTranslate2's is needed."""

    def __init__(self, model: Any) -> None:
        self.model = model


def encoded(*sureness: float) -> EncodedWindows:
    """Return windows that are so sure of their language in outline."""
    outputs = [np.full((1, NUM_POSITIONS, D_MODEL), each, np.float32) for each in sureness]
    return EncodedWindows(
        cast(Any, None), cast(Any, [None] * len(outputs)), Replicas(2), tuple(outputs)
    )


def test_only_windows_in_doubt_are_looked_at_whole() -> None:
    """One of three is unsure in outline: what it is as a whole counts, and it alone is asked."""
    detector = Detector()
    found = windows_of(detector).languages(encoded(0.95, 0.5, 0.99))
    assert [each[0][0] for each in found] == ["nl"] * 3
    assert [each[0][1] for each in found] == pytest.approx([0.95, 0.7, 0.99])
    assert sorted(detector.num_positions) == [375, 375, 375, NUM_POSITIONS]


def test_a_model_of_one_language_is_not_asked() -> None:
    """English-only weights know no other language."""
    detector = Detector()
    detector.is_multilingual = False
    assert windows_of(detector).languages(encoded(0.5)) == [[("en", 1.0)]]
    assert detector.num_positions == []
