"""Loading the model where it can run: CPU or CUDA, with a number type that fits."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from longform.errors import EnvironmentFaultError
from longform.speech.engine import EngineSpec

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

_log = logging.getLogger(__name__)


def load_whisper_model(path: Path, spec: EngineSpec) -> WhisperModel:
    """Load the weights in `path` onto the device of `spec`.

    Raises:
        EnvironmentFaultError: CUDA was asked for and this machine has none.
    """
    from faster_whisper import WhisperModel

    device = choose_device(spec.device)
    compute_type = choose_compute_type(spec.compute_type, device)
    threads = spec.cpu_threads or os.cpu_count() or 1
    return WhisperModel(str(path), device=device, compute_type=compute_type, cpu_threads=threads)


def choose_device(wanted: str) -> str:
    """Return 'cuda' or 'cpu'."""
    if wanted == "cpu":
        return "cpu"
    num_gpus = _num_cuda_devices()
    if wanted == "cuda" and not num_gpus:
        raise EnvironmentFaultError(
            "device: no CUDA GPU is usable on this machine: use --device cpu, "
            "or check the driver with nvidia-smi"
        )
    return "cuda" if num_gpus else "cpu"


def choose_compute_type(wanted: str, device: str) -> str:
    """Return the number type; 'default' is float16 on a GPU and float32 on a CPU."""
    if wanted != "default":
        return wanted
    return "float16" if device == "cuda" else "float32"


def _num_cuda_devices() -> int:
    import ctranslate2

    try:
        return int(ctranslate2.get_cuda_device_count())
    except RuntimeError as error:  # a driver without a device, or too old for the library
        _log.warning("CUDA is not usable, running on the CPU: %s", error)
        return 0
