"""What a service counts, in Prometheus' terms, in a registry of its own."""

import time
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from longform.audio import to_seconds
from longform.speech.engine import DecodeOptions, Engine, MicroRequest, MicroResult

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)  # micro chunks
_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 3_600)


class Metrics:
    """The counters of one service."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "longform_requests",
            "Requests that have ended; 499: the client had gone.",
            ["endpoint", "status"],
            registry=registry,
        )
        self.request_seconds = Histogram(
            "longform_request_seconds",
            "Time from a request's first byte to its answer.",
            ["endpoint"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.upload_bytes = Counter(
            "longform_upload_bytes", "Bytes of audio received.", registry=registry
        )
        self.audio_seconds = Counter(
            "longform_audio_seconds", "Audio of requests that were answered.", registry=registry
        )
        self.batches = Counter("longform_batches", "Calls of the engine.", registry=registry)
        self.batch_size = Histogram(
            "longform_batch_size",
            "Micro chunks in one call of the engine.",
            buckets=_BATCH_SIZES,
            registry=registry,
        )
        self.engine_seconds = Counter(
            "longform_engine_seconds", "Time spent in the engine.", registry=registry
        )
        self.engine_audio_seconds = Counter(
            "longform_engine_audio_seconds", "Audio given to the engine.", registry=registry
        )
        self.errors = Counter(
            "longform_errors", "Errors by their code.", ["code"], registry=registry
        )

    def watch(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """Add a gauge that is computed when it is read."""
        Gauge(f"longform_{name}", meaning, registry=self._registry).set_function(value)

    def text(self) -> bytes:
        """Return all of them in Prometheus' text format."""
        return generate_latest(self._registry)


class MeteredEngine:
    """An engine whose calls are counted."""

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics

    @property
    def identity(self) -> str:
        """That of the engine inside."""
        return self._engine.identity

    def transcribe(
        self, batch: Sequence[MicroRequest], options: DecodeOptions
    ) -> list[MicroResult]:
        """Decode a batch, and count it whether it fails or not."""
        started = time.perf_counter()
        try:
            return self._engine.transcribe(batch, options)
        finally:
            num_samples = sum(request.chunk.span.num_samples for request in batch)
            self._metrics.engine_seconds.inc(time.perf_counter() - started)
            self._metrics.engine_audio_seconds.inc(to_seconds(num_samples))
            self._metrics.batches.inc()
            self._metrics.batch_size.observe(len(batch))
