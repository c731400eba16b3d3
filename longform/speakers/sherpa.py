"""The diarizer on sherpa-onnx: pyannote segmentation, speaker embeddings, clustering.

It runs in a process of its own: sherpa-onnx ends the process where a model is not what it
expects, holds an hour's audio in 0.5 GB, and gives none of it back while it works.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import file_digest
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from longform.audio import SAMPLE_RATE_HZ, Span, to_samples
from longform.errors import EngineUnavailableError, EnvironmentFaultError, WeightsError
from longform.extras import missing_extra
from longform.media.decode.sandbox import child
from longform.params import DiarizeParams
from longform.settings import Settings

_SCRIPT = Path(__file__).with_name("sherpa_script.py")

# What sherpa-onnx reads from a model's metadata; without one of these it ends the process.
_SEGMENTATION_KEYS = (
    "sample_rate",
    "window_size",
    "receptive_field_size",
    "receptive_field_shift",
    "num_speakers",
    "powerset_max_classes",
    "num_classes",
)
_EMBEDDING_KEYS = ("framework", "sample_rate", "output_dim")
_FRAMEWORKS = ("wespeaker", "3d-speaker", "nemo")
# Clustering compares every window's speakers with all others, 8 bytes a pair: 8000 windows
# with two speakers each make 1 GB. Longer recordings get windows that overlap less.
_MAX_WINDOWS = 8_000
_WINDOW_SEC = 10
_MIN_SHIFT, _MAX_SHIFT = 0.1, 1.0  # of a window
# Bytes of address space: libraries, threads and a clustering of 1 GB; and 0.5 GB of samples an
# hour, of which sherpa-onnx holds two copies for a while.
BASE_MEMORY_BYTES = 4 * 2**30
MEMORY_BYTES_PER_HOUR = 2**30


@dataclass(frozen=True)
class SherpaDiarizer:
    """Two ONNX models: one tells speakers apart within 10 s, one knows voices again."""

    segmentation: Path
    embedding: Path
    num_threads: int = 1

    @classmethod
    def from_settings(cls, settings: Settings) -> SherpaDiarizer:
        """Check package and models, and return the diarizer.

        Raises:
            EnvironmentFaultError: the package is not installed, or no models are named.
            WeightsError: a model is missing, or not one that sherpa-onnx can use.
        """
        if find_spec("sherpa_onnx") is None:
            raise missing_extra("diarize", "diarize")
        if settings.segmentation_model is None or settings.embedding_model is None:
            raise EnvironmentFaultError(
                "diarize: set LONGFORM_SEGMENTATION_MODEL and LONGFORM_EMBEDDING_MODEL to ONNX "
                "files of sherpa-onnx's speaker diarization"
            )
        require_segmentation(settings.segmentation_model)
        require_embedding(settings.embedding_model)
        return cls(settings.segmentation_model, settings.embedding_model, settings.cpu_threads or 1)

    @cached_property
    def identity(self) -> str:
        """Version of the package and sha256 of both models."""
        digests = (_sha256(path) for path in (self.segmentation, self.embedding))
        return " ".join(["sherpa-onnx", version("sherpa-onnx"), *digests])

    async def diarize(
        self, audio: Path, num_samples: int, params: DiarizeParams
    ) -> list[tuple[Span, int]]:
        """Return stretches with the number of their speaker.

        Raises:
            EngineUnavailableError: the process ended without a result.
        """
        if num_samples == 0:
            return []
        order = {
            "segmentation": str(self.segmentation),
            "embedding": str(self.embedding),
            "audio": str(audio),
            "num_threads": self.num_threads,
            "window_shift": window_shift(num_samples),
            **params.model_dump(
                include={"num_speakers", "min_speakers", "max_speakers", "threshold"}
            ),
        }
        found = json.loads(await _run(order, num_samples))
        return [
            (Span(_sample(start, num_samples), _sample(end, num_samples)), speaker)
            for start, end, speaker in found
        ]


def window_shift(num_samples: int) -> float:
    """Return by what share of a window the next begins: 0.1, more beyond some two hours."""
    num_windows = num_samples / (_WINDOW_SEC * SAMPLE_RATE_HZ)
    return min(max(_MIN_SHIFT, num_windows / _MAX_WINDOWS), _MAX_SHIFT)


def require_segmentation(path: Path) -> None:
    """Check that a file is a segmentation model.

    Raises:
        WeightsError: what is wrong with it.
    """
    _require(path, "segmentation", _SEGMENTATION_KEYS)


def require_embedding(path: Path) -> None:
    """Check that a file is a model of voices.

    Raises:
        WeightsError: what is wrong with it.
    """
    framework = _require(path, "embedding", _EMBEDDING_KEYS)["framework"]
    if framework not in _FRAMEWORKS:
        raise WeightsError(
            f"diarize: {path} is of the framework {framework!r}; there are {', '.join(_FRAMEWORKS)}"
        )


def _require(path: Path, kind: str, keys: tuple[str, ...]) -> Mapping[str, str]:
    from onnxruntime import InferenceSession
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf

    if not path.is_file():
        raise WeightsError(f"diarize: there is no {kind} model {path}; name an ONNX file")
    try:
        session = InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except (Fail, InvalidGraph, InvalidProtobuf) as error:
        raise WeightsError(f"diarize: {path} is not an ONNX model; fetch it again") from error
    found: dict[str, str] = session.get_modelmeta().custom_metadata_map
    if missing := [key for key in keys if key not in found]:
        raise WeightsError(
            f"diarize: {path} is not a {kind} model of sherpa-onnx: its metadata lacks {missing[0]}"
        )
    if found["sample_rate"] != str(SAMPLE_RATE_HZ):
        raise WeightsError(f"diarize: {path} is for {found['sample_rate']} Hz, not 16000")
    return found


async def _run(order: Mapping[str, Any], num_samples: int) -> bytes:
    """Return what the script says last.

    Not `run_script`: minutes go by without a word from it, and its complaint is wanted.
    """
    command = (sys.executable, "-P", str(_SCRIPT), json.dumps(order))
    hours = num_samples / SAMPLE_RATE_HZ / 3600
    memory_bytes = BASE_MEMORY_BYTES + round(hours * MEMORY_BYTES_PER_HOUR)
    async with child(command, memory_bytes=memory_bytes) as process:
        output, complaints = await process.communicate()
    if process.returncode != 0:
        last = complaints.decode(errors="replace").strip().rpartition("\n")[2][:300]
        raise EngineUnavailableError(
            f"diarize: sherpa-onnx ended with exit code {process.returncode}: {last}"
        )
    return output.strip().rpartition(b"\n")[2]


def _sample(seconds: float, num_samples: int) -> int:
    return min(max(0, to_samples(seconds)), num_samples)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
