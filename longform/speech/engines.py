"""Which engines there are, and the ones this process has loaded.

A plain module on purpose: Prefect pickles task functions with the globals they use, so a
cache kept beside a task would be empty on every call. Here it lives as long as the process.
"""

import threading
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from longform.errors import ParameterError
from longform.speech.batching import Batcher, BatchStats
from longform.speech.engine import DECODER_VERSION, Engine, EngineSpec

EngineFactory = Callable[[EngineSpec, Path], Engine]

BACKENDS = {
    "faster_whisper": "longform.speech.faster_whisper_engine:create",
    "remote": "longform.speech.remote.remote_engine:create",
}

_lock = threading.Lock()
_batchers: dict[EngineSpec, Batcher] = {}


def loaded_engine(spec: EngineSpec, home: Path) -> Batcher:
    """Return the batcher of this process's engine for `spec`, loading the engine once.

    Threads that race wait for the one that loads. A load that fails leaves nothing behind.

    Args:
        spec: which engine.
        home: this machine's folder for what outlives a run; weights are joined below it.

    Raises:
        ParameterError: no such backend.
        UnknownModelError, WeightsError: from `weights.resolve`.
        EnvironmentFaultError: the device that was asked for is not there.
    """
    with _lock:
        if spec not in _batchers:
            engine = engine_factory(spec.backend)(spec, home)
            _batchers[spec] = Batcher(engine, spec.batch_size)
        return _batchers[spec]


def batch_stats() -> tuple[BatchStats, ...]:
    """Return what each engine of this process has done so far."""
    with _lock:
        return tuple(batcher.stats for batcher in _batchers.values())


def close_engines() -> None:
    """Close and forget every engine of this process."""
    with _lock:
        batchers = [*_batchers.values()]
        _batchers.clear()
    for batcher in batchers:
        batcher.close()


def engine_factory(backend: str) -> EngineFactory:
    """Return the function that loads engines of `backend`: a name, or `package.module:function`.

    Raises:
        ParameterError: where there is none.
    """
    module_name, _, function_name = BACKENDS.get(backend, backend).partition(":")
    if not function_name:
        known = ", ".join(sorted(BACKENDS))
        raise ParameterError(f"engine: unknown backend {backend!r}; known are {known}")
    try:
        factory: EngineFactory = getattr(import_module(module_name), function_name)
    except (ImportError, AttributeError) as error:
        raise ParameterError(f"engine: backend {backend!r} cannot be loaded: {error}") from error
    return factory


def spec_identity(spec: EngineSpec) -> str:
    """Return `engine_identity` of the engine that `spec` names; of a remote one, what it says."""
    return spec.remote.identity if spec.remote else engine_identity(spec.backend)


@cache
def engine_identity(backend: str) -> str:
    """Return what, beside weights and parameters, changes an engine's text; loads no model."""
    libraries = {"faster_whisper": ("faster-whisper", "ctranslate2")}.get(backend, ())
    versions = [f"{name} {version(name)}" for name in libraries]
    return ", ".join([backend, *versions, f"decoder {DECODER_VERSION}"])
