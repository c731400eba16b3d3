"""Loading the model where it can run: CPU or CUDA, with number types that fit."""

from __future__ import annotations

import ctypes
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longform.errors import EnvironmentFaultError
from longform.speech.replicas import ReplicaConfig

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

_log = logging.getLogger(__name__)

# What 'default' means here, and what is tried after it when memory runs out on that device.
DEFAULT_TYPES = {"cuda": "float16", "cpu": "float32"}
_SMALLER_TYPES = {"cuda": "int8_float16", "cpu": "int8_float32"}

# CTranslate2's seed is one for the process, so that one model at a time may be sampled from.
_seeding = threading.Lock()


def load_whisper_model(
    path: Path, device: str, compute_type: str, shape: ReplicaConfig
) -> WhisperModel:
    """Load the weights in `path`, once for all lanes.

    Raises:
        EnvironmentFaultError: the device has no such number type.
    """
    from faster_whisper import WhisperModel

    try:
        return WhisperModel(
            str(path),
            device=device,
            compute_type=compute_type,
            cpu_threads=shape.threads,
            num_workers=shape.num_replicas,
        )
    except ValueError as error:
        raise EnvironmentFaultError(
            f"compute_type: {compute_type} does not run on this machine's {device}: "
            "use --compute-type default"
        ) from error


@contextmanager
def seeded_model(path: Path, like: WhisperModel, threads: int, seed: int) -> Iterator[Any]:
    """Lend a second copy of a model whose random numbers begin with `seed`.

    A thread of CTranslate2 takes the seed when it draws its first number and never again, so
    that only a model with new threads can be seeded. Loading one costs a tenth of sampling
    from it once.

    Args:
        path: folder of the weights.
        like: the loaded model, whose device and number type the copy gets.
        threads: on a CPU.
        seed: 0 to 2**31 - 1.
    """
    import ctranslate2

    with _seeding:
        ctranslate2.set_random_seed(seed)
        yield ctranslate2.models.Whisper(
            str(path),
            device=like.model.device,
            device_index=like.model.device_index,
            compute_type=like.model.compute_type,
            intra_threads=threads,
        )


def choose_device(wanted: str) -> str:
    """Return 'cuda' or 'cpu'; 'auto' is CUDA where this machine has it.

    Raises:
        EnvironmentFaultError: CUDA was asked for and is not usable.
    """
    num_gpus = 0 if wanted == "cpu" else _num_cuda_devices()
    if wanted == "cuda" and not num_gpus:
        raise EnvironmentFaultError(
            "device: no CUDA GPU is usable on this machine: use --device cpu, "
            "or check the driver with nvidia-smi"
        )
    if num_gpus:
        _preload_cublas()
    return "cuda" if num_gpus else "cpu"


def compute_types(wanted: str, device: str) -> list[str]:
    """Return the number types to try in turn, the wanted one first."""
    first = DEFAULT_TYPES[device] if wanted == "default" else wanted
    smaller = _SMALLER_TYPES[device]
    return [first] if first.startswith("int8") else [first, smaller]


def _num_cuda_devices() -> int:
    import ctranslate2

    try:
        return int(ctranslate2.get_cuda_device_count())
    except RuntimeError as error:  # a driver without a device, or too old for the library
        _log.warning("CUDA is not usable, running on the CPU: %s", error)
        return 0


def _preload_cublas() -> None:
    """Load CUDA 12's cuBLAS from its wheel, where CTranslate2 would not find it by itself."""
    package = find_spec("nvidia.cublas") if find_spec("nvidia") else None
    for folder in package.submodule_search_locations or () if package else ():
        for library in ("libcublasLt.so.12", "libcublas.so.12"):
            path = Path(folder) / "lib" / library
            if path.is_file():
                ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
