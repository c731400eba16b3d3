"""Log-mel features of windows: the protocol, and which implementation an engine takes."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from longform.errors import EnvironmentFaultError
from longform.extras import install_hint
from longform.speech.features.protocol import Features


def choose_features(wanted: str, device: str, extractor: Any) -> Features:
    """Return the implementation to use beside a model on `device` ('cpu' or 'cuda').

    Args:
        wanted: 'numpy', 'torch', or 'auto': torch on a GPU that it can use, else numpy.
        device: where the model runs.
        extractor: the model's faster-whisper FeatureExtractor; its mel filters are used.

    Raises:
        EnvironmentFaultError: torch was asked for and is not there.
    """
    from longform.speech.features.numpy_features import NumpyFeatures

    if wanted == "numpy" or (wanted == "auto" and not (device == "cuda" and _torch_has_cuda())):
        return NumpyFeatures(extractor)
    if find_spec("torch") is None:
        raise EnvironmentFaultError(
            f"features: torch is not installed: {install_hint('gpu')}, or set "
            "LONGFORM_FEATURES=numpy"
        )
    from longform.speech.features.torch_features import TorchFeatures

    return TorchFeatures(extractor.mel_filters, device)


def _torch_has_cuda() -> bool:
    if find_spec("torch") is None:
        return False
    import torch

    return bool(torch.cuda.is_available())
