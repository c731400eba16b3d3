"""An engine that makes do with less memory: smaller batches first, then smaller numbers."""

import logging
from collections.abc import Callable, Sequence

from longform.errors import EngineUnavailableError
from longform.speech.engine import DecodeOptions, Engine, MicroRequest, MicroResult

_log = logging.getLogger(__name__)

_SIGNS = ("out of memory", "cublas_status_alloc_failed", "failed to allocate")


class OomFallbackEngine:
    """Decodes with an engine that may run out of device memory, and remembers what fits.

    Args:
        load: loads the engine with a number type of CTranslate2.
        compute_types: number types to try, the wanted one first.
    """

    def __init__(self, load: Callable[[str], Engine], compute_types: Sequence[str]) -> None:
        self._load = load
        self._smaller_types = list(compute_types[1:])
        self._engine: Engine | None = load(compute_types[0])
        self._most: int | None = None
        self.memory_note = ""  # what did not fit, in words; for the output of runs

    @property
    def identity(self) -> str:
        """That of the engine inside."""
        return self._loaded().identity

    def transcribe(
        self, batch: Sequence[MicroRequest], options: DecodeOptions
    ) -> list[MicroResult]:
        """Decode a batch in as many pieces as memory asks for.

        Raises:
            EngineUnavailableError: not even one chunk fits.
        """
        results: list[MicroResult] = []
        while len(results) < len(batch):
            piece = batch[len(results) :][: self._most]
            try:
                results += self._loaded().transcribe(piece, options)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self._shrink(len(piece), error)
        return results

    def _loaded(self) -> Engine:
        if self._engine is None:
            raise EngineUnavailableError("the speech engine did not fit into memory before")
        return self._engine

    def _shrink(self, num_chunks: int, error: Exception) -> None:
        if num_chunks > 1:
            self._most = num_chunks // 2
            self._note(f"batches of {self._most} instead of {num_chunks}")
            return
        if not self._smaller_types:
            raise EngineUnavailableError(
                "one micro chunk does not fit into memory: choose a smaller model, "
                "or a smaller --compute-type"
            ) from error
        compute_type = self._smaller_types.pop(0)
        self._note(f"the model was loaded as {compute_type}")
        self._engine = None  # freed before the next one is loaded
        self._engine = self._load(compute_type)

    def _note(self, what: str) -> None:
        self.memory_note = f"the engine ran out of memory: {what}"
        _log.warning("%s", self.memory_note)


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an exception of CTranslate2 or Python says that memory ran out."""
    message = str(error).casefold()
    return isinstance(error, MemoryError) or any(sign in message for sign in _SIGNS)
