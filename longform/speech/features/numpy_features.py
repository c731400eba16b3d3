"""Log-mel features by faster-whisper's extractor, a window at a time, on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from longform.audio import Pcm
from longform.speech.features.protocol import FULL_SCALE, MEL_RANGE, NUM_FRAMES, Floats, is_short

if TYPE_CHECKING:
    from faster_whisper.feature_extractor import FeatureExtractor


@dataclass(frozen=True, slots=True, eq=False)
class NumpyWindows:
    """Windows in main memory, each of shape (n_mels, 3000)."""

    features: tuple[Floats, ...]

    def __len__(self) -> int:
        return len(self.features)

    def storage(self, indices: Sequence[int]) -> Any:
        """Return a StorageView of those windows."""
        from ctranslate2 import StorageView

        return StorageView.from_array(np.stack([self.features[index] for index in indices]))

    def to_numpy(self) -> Floats:
        """Return all windows as one array."""
        return np.stack(self.features)


class NumpyFeatures:
    """The reference implementation.

    Args:
        extractor: of the model whose features are wanted.
    """

    def __init__(self, extractor: FeatureExtractor) -> None:
        self._extractor = extractor

    def windows(self, recordings: Sequence[Pcm]) -> NumpyWindows:
        """Return the windows of int16 audio."""
        return NumpyWindows(tuple(self._window(pcm) for pcm in recordings))

    def _window(self, pcm: Pcm) -> Floats:
        mel = self._extractor(pcm.astype(np.float32) / FULL_SCALE)[..., :-1]
        padding = 0.0 if is_short(len(pcm)) else mel.max() - MEL_RANGE
        window = np.full((mel.shape[0], NUM_FRAMES), padding, dtype=np.float32)
        window[:, : mel.shape[1]] = mel[:, :NUM_FRAMES]
        return window
