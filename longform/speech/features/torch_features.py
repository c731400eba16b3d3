"""Log-mel features by torch: a batch at once, where the model is.

Short-time Fourier transform (Hann window of 25 ms, hop of 10 ms), mel filters, log10, 80 dB
of range: the front end of Whisper (Radford et al. 2022, section 2.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from longform.audio import Pcm
from longform.speech.features.protocol import (
    FULL_SCALE,
    MEL_RANGE,
    NUM_FRAMES,
    SAMPLES_PER_FRAME,
    Floats,
    is_short,
)

if TYPE_CHECKING:
    import torch

_FFT_SAMPLES = 400  # 25 ms
_CENTRE = _FFT_SAMPLES // 2  # a frame is centred on its time: half of it lies before
_FLOOR = 1e-10  # power below which nothing is told apart
_LOG_RANGE = 8.0  # decades of power below the loudest that are kept: 80 dB
_GROUP = 32  # windows; their spectra take 155 MB


@dataclass(frozen=True, slots=True, eq=False)
class TorchWindows:
    """Windows as one tensor, float32, shape (n, n_mels, 3000)."""

    features: torch.Tensor

    def __len__(self) -> int:
        return len(self.features)

    def storage(self, indices: Sequence[int]) -> Any:
        """Return a StorageView of those windows; of all of them, in order, without a copy."""
        import torch
        from ctranslate2 import StorageView

        everything = list(indices) == list(range(len(self)))
        chosen = self.features if everything else self.features[list(indices)]
        if not chosen.is_cuda:
            return StorageView.from_array(chosen.numpy())
        # CTranslate2 reads on a stream of its own, which does not wait for torch's.
        torch.cuda.synchronize(chosen.device)
        return StorageView.from_array(chosen)

    def to_numpy(self) -> Floats:
        """Return all windows in main memory."""
        array: Floats = self.features.cpu().numpy()
        return array


class TorchFeatures:
    """Equal to the reference within float tolerance.

    Args:
        mel_filters: float32, shape (n_mels, 201).
        device: 'cpu' or 'cuda'.
    """

    def __init__(self, mel_filters: Floats, device: str) -> None:
        import torch

        self._device = torch.device(device)
        self._filters = torch.from_numpy(np.ascontiguousarray(mel_filters)).to(self._device)
        self._hann = torch.hann_window(_FFT_SAMPLES, device=self._device)

    def windows(self, recordings: Sequence[Pcm]) -> TorchWindows:
        """Return the windows of int16 audio."""
        import torch

        groups = [recordings[at : at + _GROUP] for at in range(0, len(recordings), _GROUP)]
        with torch.inference_mode():
            return TorchWindows(torch.cat([self._group(group) for group in groups]))

    def _group(self, recordings: Sequence[Pcm]) -> torch.Tensor:
        import torch

        # One frame more than is kept counts for the maximum, as in the reference.
        num_frames = [len(pcm) // SAMPLES_PER_FRAME + 1 for pcm in recordings]
        audio = torch.from_numpy(_framed(recordings, max(num_frames))).to(self._device)
        spectrum = torch.stft(
            audio.float() / FULL_SCALE,
            _FFT_SAMPLES,
            SAMPLES_PER_FRAME,
            window=self._hann,
            center=False,
            return_complex=True,
        )
        power = spectrum.abs().square()
        log_mel = (self._filters @ power).clamp(min=_FLOOR).log10()
        ends = torch.tensor(num_frames, device=self._device)[:, None, None]
        frames = torch.arange(log_mel.shape[-1], device=self._device)
        peaks = log_mel.masked_fill(frames >= ends, -torch.inf).amax((1, 2), keepdim=True)
        scaled = (torch.maximum(log_mel, peaks - _LOG_RANGE) + 4.0) / 4.0
        return self._padded(scaled, frames < ends - 1, recordings)

    def _padded(
        self, mel: torch.Tensor, heard: torch.Tensor, recordings: Sequence[Pcm]
    ) -> torch.Tensor:
        """Put every window's padding behind its audio, up to 30 s."""
        import torch

        short = torch.tensor([is_short(len(pcm)) for pcm in recordings], device=self._device)
        loudest = mel.masked_fill(~heard, -torch.inf).amax((1, 2)) - MEL_RANGE
        padding = torch.where(short, 0.0, loudest)[:, None, None]
        windows = padding.expand(-1, mel.shape[1], NUM_FRAMES).contiguous()
        kept = min(mel.shape[-1], NUM_FRAMES)
        windows[..., :kept] = torch.where(heard, mel, padding)[..., :kept]
        return windows


def _framed(recordings: Sequence[Pcm], num_frames: int) -> Pcm:
    """Return int16 rows with the head mirrored in front, and zeros behind to a common length."""
    length = (num_frames - 1) * SAMPLES_PER_FRAME + _FFT_SAMPLES
    rows = np.zeros((len(recordings), length), np.int16)
    for row, pcm in zip(rows, recordings, strict=True):
        room = row[_CENTRE : _CENTRE + len(pcm)]
        room[:] = pcm[: len(room)]
        head = pcm[1 : _CENTRE + 1][::-1]
        row[_CENTRE - len(head) : _CENTRE] = head
    return rows
