"""Stage `engine_choice`: from a run's parameters to the engine that every worker must load."""

from functools import cache

from longform.params import TranscribeParams
from longform.settings import Settings
from longform.speech.batching import Batcher
from longform.speech.devices import DEFAULT_TYPES, choose_device
from longform.speech.engine import DecodeOptions, EngineSpec
from longform.speech.engines import BACKENDS, loaded_engine
from longform.speech.remote.discovery import find_service
from longform.speech.weights import resolve

WHISPER = "faster_whisper"
REMOTE = "remote"


def choose_engine(params: TranscribeParams, settings: Settings) -> EngineSpec:
    """Find and verify the weights, and pin them for the workers. No model is loaded.

    An engine that the operator names by its dotted path brings its own model, and so does a
    remote one: it is asked which.

    Raises:
        UnknownModelError, WeightsError: from `weights.resolve`.
        ParameterError, EnvironmentFaultError, EngineUnavailableError: from `find_service`.
    """
    if settings.engine == REMOTE:
        return _remote_engine(params, settings)
    has_weights = settings.engine in BACKENDS
    weights = resolve(params.model, settings.home) if has_weights else None
    return EngineSpec(
        backend=settings.engine,
        model=params.model,
        model_sha256=weights.sha256 if weights else None,
        device=params.device,
        compute_type=params.compute_type,
        batch_size=params.batch_size,
    )


def _remote_engine(params: TranscribeParams, settings: Settings) -> EngineSpec:
    found = find_service(settings.engine_url, settings.engine_api_key, params.model)
    return EngineSpec(
        backend=REMOTE,
        model=params.model,
        model_sha256=found.model_sha256,
        batch_size=params.batch_size,
        remote=found.service,
    )


@cache  # every chunk asks, and the device of a process stays the same
def compute_types_of(spec: EngineSpec) -> tuple[str, ...]:
    """Return the number types that an engine may compute in, the one on this machine first.

    There are several where the device is left open, which each worker may have or not.
    """
    if spec.backend != WHISPER or spec.compute_type != "default":
        return (spec.compute_type,)
    if spec.device != "auto":
        return (DEFAULT_TYPES[spec.device],)
    here = DEFAULT_TYPES[choose_device("auto")]
    return (here, *(name for name in DEFAULT_TYPES.values() if name != here))


def worker_engine(spec: EngineSpec, settings: Settings) -> Batcher:
    """Return the engine of this worker process, loaded on the first call.

    Raises:
        UnknownModelError, WeightsError: this host has not the weights that were pinned.
        EnvironmentFaultError: the device that was asked for is not there.
    """
    here = spec.model_copy(
        update={"cpu_threads": settings.cpu_threads, "features": settings.features}
    )
    return loaded_engine(here, settings.home)


def decode_options(params: TranscribeParams) -> DecodeOptions:
    """Return the part of the parameters that says how micro chunks are decoded."""
    fields = DecodeOptions.model_fields.keys() - {"halves_follow"}
    # Only voice activity tells where speech is, and only words of its own language are timed.
    is_heard_again = params.chunking == "vad" and params.task == "transcribe"
    return DecodeOptions(
        **{name: getattr(params, name) for name in fields}, halves_follow=is_heard_again
    )
