"""Encoder outputs of a batch of 30 s windows, where the decoder wants them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from longform.audio import Pcm
from longform.speech.features.protocol import Features, Floats, MelWindows
from longform.speech.replicas import Replicas

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

Result = TypeVar("Result")

_CPU_GROUP = 2  # windows
_OUTLINE_STEP = 4  # positions of 20 ms


@dataclass(frozen=True, slots=True, eq=False)
class EncodedWindows:
    """Encoder outputs of a batch.

    On a CPU each window is encoded on its own: the attention scores of one take 72 MB for
    `base` (8 heads x 1500 x 1500 float32), and a batch would hold that for every window while
    not being any faster. On a GPU the batch is encoded in one go and stays on the device.
    """

    model: WhisperModel
    features: MelWindows
    lanes: Replicas
    on_cpu: tuple[Floats, ...]  # each (1, 1500, d_model); empty on a GPU
    on_device: Any = None  # ctranslate2.StorageView of the whole batch; None on a CPU

    def select(self, indices: Sequence[int]) -> Any:
        """Return a StorageView of those windows, shape (len(indices), 1500, d_model)."""
        from ctranslate2 import StorageView

        if self.on_cpu:
            return StorageView.from_array(np.concatenate([self.on_cpu[i] for i in indices]))
        if list(indices) == list(range(len(self.features))):
            return self.on_device
        return self.model.model.encode(self.features.storage(indices))

    def outline(self, indices: Sequence[int]) -> Any:
        """Return a StorageView of every fourth position of those windows, on a CPU.

        What costs anything in one pass of the decoder is to look at all positions, in each of its
        layers; neighbours say nearly the same.
        """
        from ctranslate2 import StorageView

        thinned = [self.on_cpu[i][:, ::_OUTLINE_STEP] for i in indices]
        return StorageView.from_array(np.concatenate(thinned))

    def one_pass(
        self, work: Callable[[Sequence[int]], list[Result]], indices: Sequence[int]
    ) -> list[Result]:
        """Return what `work` makes of the windows, in groups that go through the decoder once.

        A single pass is as fast for two windows as for eight on a CPU, and its keys and values
        take 40 MB a window; only the search, token by token, is worth a full batch.
        """
        size = _CPU_GROUP if self.on_cpu else max(1, len(indices))
        groups = [indices[at : at + size] for at in range(0, len(indices), size)]
        return [each for group in self.lanes.map(work, groups) for each in group]

    def search(
        self, work: Callable[[Sequence[int]], list[Result]], indices: Sequence[int]
    ) -> list[Result]:
        """Return what `work` makes of the windows, in a group for each lane."""
        return [each for group in self.lanes.map(work, self.lanes.share(indices)) for each in group]


def encode(
    model: WhisperModel, features: Features, lanes: Replicas, recordings: Sequence[Pcm]
) -> EncodedWindows:
    """Encode int16 audio of up to 30 s each."""
    windows = features.windows(recordings)
    everything = range(len(windows))
    if model.model.device == "cpu":
        outputs = lanes.map(
            lambda i: np.array(model.model.encode(windows.storage([i]))), everything
        )
        return EncodedWindows(model, windows, lanes, tuple(outputs))
    return EncodedWindows(
        model, windows, lanes, (), model.model.encode(windows.storage(everything))
    )
