"""The scripted engine behind a gate, for tests in which requests must wait for each other.

It runs in the process of the test: `GATE` is shared by name.
"""

import threading
from collections.abc import Sequence
from pathlib import Path

from longform.errors import EngineUnavailableError
from longform.speech.engine import DecodeOptions, EngineSpec, MicroRequest, MicroResult
from tests.support.scripted_engine import ScriptedEngine

NAME = "tests.support.gated_engine:create"
PATIENCE_SEC = 120.0


class Gate:
    """Open or closed; knows how many batches have come to it."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._arrived = threading.Semaphore(0)
        self.batches: list[int] = []
        self.reset()

    def reset(self) -> None:
        """Open the gate and forget what has come."""
        self._open.set()
        self._arrived = threading.Semaphore(0)
        self.batches = []

    def close(self) -> None:
        """Let no batch through."""
        self._open.clear()

    def open(self) -> None:
        """Let all of them through."""
        self._open.set()

    def wait_for_batch(self) -> None:
        """Wait until one more batch has come to the gate."""
        assert self._arrived.acquire(timeout=PATIENCE_SEC), "no batch came to the engine"

    def enter(self, num_chunks: int) -> None:
        """Come to the gate and wait until it is open."""
        self.batches.append(num_chunks)
        self._arrived.release()
        if not self._open.wait(PATIENCE_SEC):
            raise EngineUnavailableError("the gate was never opened")


GATE = Gate()


def create(spec: EngineSpec, home: Path) -> "GatedEngine":
    """Return an engine that waits at the gate of this process."""
    return GatedEngine()


class GatedEngine:
    """The scripted engine, one batch at a time through the gate."""

    identity = "gated, decoder 1"

    def __init__(self) -> None:
        self._engine = ScriptedEngine()

    def transcribe(
        self, batch: Sequence[MicroRequest], options: DecodeOptions
    ) -> list[MicroResult]:
        """Wait at the gate, then answer from the audio's hash."""
        GATE.enter(len(batch))
        return self._engine.transcribe(batch, options)
