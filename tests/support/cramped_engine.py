"""The scripted engine on a device with little memory, for tests of running out of it."""

from collections.abc import Sequence
from pathlib import Path

from longform.speech.engine import DecodeOptions, EngineSpec, MicroRequest, MicroResult
from longform.speech.oom_fallback import OomFallbackEngine
from tests.support.scripted_engine import ScriptedEngine
from tests.support.scripted_engine import create as create_scripted

NAME = "tests.support.cramped_engine:create"


def create(spec: EngineSpec, home: Path) -> OomFallbackEngine:
    """Return an engine that holds one chunk at a time, and that in 8 bits only."""
    return OomFallbackEngine(
        lambda compute_type: CrampedEngine(create_scripted(spec, home), compute_type),
        ("float16", "int8"),
    )


class CrampedEngine:
    """Fails as CTranslate2 does on a GPU that is too small."""

    identity = "cramped, decoder 1"

    def __init__(self, engine: ScriptedEngine, compute_type: str) -> None:
        self._engine = engine
        self._room = 1 if compute_type == "int8" else 0

    def transcribe(
        self, batch: Sequence[MicroRequest], options: DecodeOptions
    ) -> list[MicroResult]:
        """Answer where the batch fits."""
        if len(batch) > self._room:
            raise RuntimeError("CUDA failed with error out of memory")
        return self._engine.transcribe(batch, options)
