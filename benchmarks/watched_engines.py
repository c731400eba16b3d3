"""Engines whose calls are noted: one that sleeps as long as a GPU would compute, and the real one.

Workers reach them as the backends `benchmarks.watched_engines:sleeping` and `:real`. Each process
adds a line per call to a file of its own, in the folder that LONGFORM_BENCH_CALLS names.
"""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from longform.audio import SAMPLE_RATE_HZ, Span, to_seconds
from longform.speech import faster_whisper_engine
from longform.speech.engine import DecodeOptions, Engine, EngineSpec, MicroRequest, MicroResult
from longform.transcript.segment import Segment, Word

SLEEPING = "benchmarks.watched_engines:sleeping"
REAL = "benchmarks.watched_engines:real"
CALLS_VARIABLE = "LONGFORM_BENCH_CALLS"
SPEED_VARIABLE = "LONGFORM_BENCH_TIMES_REAL_TIME"
LOAD_SUFFIX = ".load.json"
WORD_SAMPLES = 2 * SAMPLE_RATE_HZ // 5  # 0.4 s: people say 2.5 words a second


@dataclass(frozen=True, slots=True)
class EngineCall:
    """One call of an engine: when, in which process, and with what."""

    started_unix_sec: float
    ended_unix_sec: float
    pid: int
    num_chunks: int
    batch_size: int
    audio_sec: float

    @property
    def duration_sec(self) -> float:
        """How long it took."""
        return self.ended_unix_sec - self.started_unix_sec


def sleeping(spec: EngineSpec, home: Path) -> Engine:
    """Return an engine that takes its time and no CPU; how long, an environment variable says."""
    return _Watched(_SleepingEngine(float(os.environ[SPEED_VARIABLE])), spec.batch_size)


def real(spec: EngineSpec, home: Path) -> Engine:
    """Return faster-whisper's engine, watched; how long it took to load is noted as well."""
    started_sec = time.time()
    engine = faster_whisper_engine.create(spec, home)
    load = {"started_unix_sec": started_sec, "ended_unix_sec": time.time()}
    (Path(os.environ[CALLS_VARIABLE]) / f"{os.getpid()}{LOAD_SUFFIX}").write_text(json.dumps(load))
    return _Watched(engine, spec.batch_size)


def read_loads(folder: Path) -> list[tuple[float, float]]:
    """Return when each process loaded its model: from, to, in seconds since the epoch."""
    notes = (json.loads(file.read_text()) for file in folder.glob(f"*{LOAD_SUFFIX}"))
    return sorted((note["started_unix_sec"], note["ended_unix_sec"]) for note in notes)


def read_calls(folder: Path) -> list[EngineCall]:
    """Return the calls of all processes, in the order in which they began."""
    lines = (line for file in folder.glob("*.jsonl") for line in file.read_text().splitlines())
    return sorted((EngineCall(**json.loads(line)) for line in lines), key=_start)


def _start(call: EngineCall) -> float:
    return call.started_unix_sec


class _Watched:
    """Hands every call on and notes it."""

    def __init__(self, engine: Engine, batch_size: int) -> None:
        self._engine = engine
        self._batch_size = batch_size
        self._file = Path(os.environ[CALLS_VARIABLE]) / f"{os.getpid()}.jsonl"

    @property
    def identity(self) -> str:
        return self._engine.identity

    def transcribe(
        self, batch: Sequence[MicroRequest], options: DecodeOptions
    ) -> list[MicroResult]:
        started_sec = time.time()
        results = self._engine.transcribe(batch, options)
        audio_sec = sum(to_seconds(request.chunk.span.num_samples) for request in batch)
        call = EngineCall(
            started_sec, time.time(), os.getpid(), len(batch), self._batch_size, audio_sec
        )
        with self._file.open("a") as file:
            file.write(json.dumps(asdict(call)) + "\n")
        return results


class _SleepingEngine:
    """Sleeps for every second of audio, then says as many words as people do."""

    identity = "sleeping"

    def __init__(self, times_real_time: float) -> None:
        self._times_real_time = times_real_time

    def transcribe(
        self, batch: Sequence[MicroRequest], options: DecodeOptions
    ) -> list[MicroResult]:
        num_samples = sum(request.chunk.span.num_samples for request in batch)
        time.sleep(to_seconds(num_samples) / self._times_real_time)
        return [_said(request) for request in batch]


def _said(request: MicroRequest) -> MicroResult:
    segment = spoken(request.chunk.span)
    return MicroResult((segment,) if segment.words and request.chunk.speech else (), "en", 1.0)


def spoken(span: Span) -> Segment:
    """Return a segment in which somebody talks all the time."""
    edges = [*range(span.start_sample, span.end_sample, WORD_SAMPLES), span.end_sample]
    words = tuple(
        Word(start_sample=start, end_sample=end, text=f" word{start % 9973}", probability=0.9)
        for start, end in pairwise(edges)
    )
    return Segment(
        start_sample=span.start_sample,
        end_sample=span.end_sample,
        text="".join(word.text for word in words),
        language="en",
        words=words,
        tokens=tuple(range(len(words))),
        avg_logprob=-0.1,
        no_speech_prob=0.0,
        compression_ratio=1.0,
    )
