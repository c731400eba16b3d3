"""Fills batches for one engine from all the streams that are open in this process."""

import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import count
from types import TracebackType
from typing import Self

from longform.chunking.micro_chunk import MicroChunk
from longform.errors import EngineUnavailableError, InvariantError, LongformError
from longform.speech.engine import DecodeOptions, Engine, MicroRequest, MicroResult
from longform.speech.language import LanguageVotes

# A partial batch waits this long after the last arrival. One stream delivers a chunk of 30 s
# every 0.2 s at most (ffmpeg and VAD run at 150x real time or more on one core), so five such
# gaps without any mean that the sources have stalled and that waiting fills nothing.
LINGER_SEC = 1.0


@dataclass(frozen=True, slots=True)
class BatchStats:
    """What the batcher has done; `fill` is the mean share of a batch that was used (0-1)."""

    num_batches: int
    num_chunks: int
    batch_size: int
    most_waiting: int = 0  # chunks that were in the queue at a time

    @property
    def fill(self) -> float:
        """Chunks decoded over places in the batches that were sent."""
        return self.num_chunks / (self.num_batches * self.batch_size) if self.num_batches else 0.0


@dataclass(slots=True, eq=False)
class _Pending:
    rank: int
    stream: "Stream"
    request: MicroRequest
    future: Future[MicroResult]


@dataclass(slots=True, eq=False)
class Stream:
    """One macro chunk's way into the batcher; submit in order, then `finish` (or leave `with`).

    `languages` is what its windows have said about their language; `rank` its place in the queue,
    None where its chunks take turns with those of others.
    """

    _batcher: "Batcher"
    options: DecodeOptions
    languages: LanguageVotes
    rank: int | None
    shared_options: DecodeOptions = field(init=False)  # what must be equal within a batch
    _num_outstanding: int = 0
    _finished: bool = False

    def __post_init__(self) -> None:
        self.shared_options = self.options.model_copy(update={"halves_follow": False})

    def submit(self, chunk: MicroChunk) -> Future[MicroResult]:
        """Queue a chunk; blocks while the stream is at its bound (async: use `to_thread`).

        Raises:
            InvariantError: the stream was finished, or the batcher closed.
        """
        return self._batcher._submit(self, chunk)

    def finish(self) -> None:
        """Say that no more chunks come, so that no batch waits for this stream."""
        self._batcher._finish(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish; after an error also give up on chunks that are not being decoded yet."""
        if error is not None:
            self._batcher._withdraw(self)
        self.finish()


class Batcher:
    """Owns a loaded engine: all calls of it are made from one thread, a batch at a time.

    A batch goes out when it is full, when no open stream can add to it (each is finished or
    at its bound), when nothing has arrived for a while, or when the engine has had nothing to do
    for as long. The oldest stream goes first and the
    others fill its batches: so macro chunks end one after the other, and while the next one is
    begun, the engine has the rest of another to decode. Streams that take turns are served chunk
    by chunk, oldest first; as each has at most `max_outstanding` chunks in the queue, one of any
    length starves none.

    Args:
        engine: the loaded engine.
        batch_size: most micro chunks per call.
        max_outstanding: most chunks of one stream that are queued or being decoded. By
            default two batches: one being decoded, one that is filled meanwhile.
        linger_sec: how long a partial batch waits after the last arrival, or the last batch.
    """

    def __init__(
        self,
        engine: Engine,
        batch_size: int,
        max_outstanding: int | None = None,
        linger_sec: float = LINGER_SEC,
    ) -> None:
        self.engine = engine
        self._batch_size = batch_size
        self._max_outstanding = max_outstanding or 2 * batch_size
        self._linger_sec = linger_sec
        self._changed = threading.Condition()
        self._pending: deque[_Pending] = deque()
        self._streams: set[Stream] = set()
        self._last_arrival = 0.0
        self._idle_since_sec = time.monotonic()
        self._ranks = count()
        self._num_batches = self._num_chunks = self._most_waiting = 0
        self._closed = False
        # Running the engine in an executor hands every exception over in a future, whatever
        # its type: the dispatching thread below outlives any failure of the engine.
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="longform-engine")
        self._dispatcher = threading.Thread(
            target=self._dispatch, name="longform-batcher", daemon=True
        )
        self._dispatcher.start()

    @property
    def stats(self) -> BatchStats:
        """Batches and chunks decoded so far, failed ones included."""
        with self._changed:
            return BatchStats(
                self._num_batches, self._num_chunks, self._batch_size, self._most_waiting
            )

    @property
    def num_waiting(self) -> int:
        """Micro chunks in the queue that are not being decoded yet."""
        with self._changed:
            return len(self._pending)

    @property
    def num_streams(self) -> int:
        """Streams that are open."""
        with self._changed:
            return len(self._streams)

    @property
    def memory_note(self) -> str:
        """What the engine ran short of, in words; empty where memory was enough."""
        return str(getattr(self.engine, "memory_note", ""))

    def open_stream(
        self,
        options: DecodeOptions,
        languages: LanguageVotes | None = None,
        rank: int | None = None,
        *,
        takes_turns: bool = False,
    ) -> Stream:
        """Open a stream whose chunks are all decoded with `options`.

        Args:
            options: how.
            languages: what an earlier stream of the same macro chunk has heard.
            rank: of that stream, whose place in the queue this one takes.
            takes_turns: it may be long, and must not keep others waiting.
        """
        with self._changed:
            self._require_open()
            if rank is None and not takes_turns:
                rank = next(self._ranks)
            stream = Stream(self, options, languages or LanguageVotes(), rank)
            self._streams.add(stream)
            return stream

    def close(self) -> None:
        """Fail what is still queued, wait for the batch being decoded, end the threads."""
        with self._changed:
            self._closed = True
            abandoned = [*self._pending]
            self._pending.clear()
            self._changed.notify_all()
        for pending in abandoned:
            pending.future.set_exception(EngineUnavailableError("the speech engine was closed"))
        self._dispatcher.join()
        self._executor.shutdown()

    def _require_open(self) -> None:
        if self._closed:
            raise InvariantError("this batcher is closed: open a stream on a new one")

    def _submit(self, stream: Stream, chunk: MicroChunk) -> Future[MicroResult]:
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    stream._num_outstanding < self._max_outstanding
                    or stream._finished
                    or self._closed
                )
            )
            self._require_open()
            if stream._finished:
                raise InvariantError("a chunk was submitted to a stream that is finished")
            future: Future[MicroResult] = Future()
            request = MicroRequest(chunk, stream.languages, stream.options.halves_follow)
            rank = next(self._ranks) if stream.rank is None else stream.rank
            self._pending.append(_Pending(rank, stream, request, future))
            self._most_waiting = max(self._most_waiting, len(self._pending))
            stream._num_outstanding += 1
            self._last_arrival = time.monotonic()
            self._changed.notify_all()
            return future

    def _finish(self, stream: Stream) -> None:
        with self._changed:
            stream._finished = True
            self._streams.discard(stream)
            self._changed.notify_all()

    def _withdraw(self, stream: Stream) -> None:
        with self._changed:
            withdrawn = [pending for pending in self._pending if pending.stream is stream]
            self._pending = deque(p for p in self._pending if p.stream is not stream)
        for pending in withdrawn:
            pending.future.cancel()

    def _dispatch(self) -> None:
        while (batch := self._next_batch()) is not None:
            # A future that its caller has cancelled is not decoded.
            wanted = [p for p in batch if p.future.set_running_or_notify_cancel()]
            if wanted:
                self._decode(wanted)
            with self._changed:
                self._idle_since_sec = time.monotonic()
                for pending in batch:
                    pending.stream._num_outstanding -= 1
                self._changed.notify_all()

    def _next_batch(self) -> list[_Pending] | None:
        with self._changed:
            while not self._closed:
                ready = self._ready_batch()
                now_sec = time.monotonic()
                quiet_sec = now_sec - self._last_arrival
                # The first words of a stream do not wait for a batch, which fills
                # meanwhile.
                is_first = now_sec - self._idle_since_sec >= self._linger_sec
                if ready and (is_first or self._is_due(ready) or quiet_sec >= self._linger_sec):
                    taken = set(map(id, ready))
                    self._pending = deque(p for p in self._pending if id(p) not in taken)
                    return ready
                self._changed.wait(self._linger_sec - quiet_sec if ready else None)
            return None

    def _ready_batch(self) -> list[_Pending]:
        """Return the chunk that is next and those behind it with equal options, up to a batch."""
        if not self._pending:
            return []
        queue = sorted(self._pending, key=lambda pending: pending.rank)
        options = queue[0].stream.shared_options
        equal = [p for p in queue if p.stream.shared_options == options]
        return equal[: self._batch_size]

    def _is_due(self, ready: list[_Pending]) -> bool:
        if len(ready) == self._batch_size:
            return True
        options = ready[0].stream.shared_options
        return all(
            stream._num_outstanding >= self._max_outstanding
            for stream in self._streams
            if stream.shared_options == options
        )

    def _decode(self, batch: list[_Pending]) -> None:
        try:
            results = self._call_engine(batch)
        except LongformError as error:
            if len(batch) > 1:
                # One chunk may be to blame: alone, it fails no other.
                for pending in batch:
                    self._decode([pending])
                return
            batch[0].future.set_exception(error)
            return
        for pending, result in zip(batch, results, strict=True):
            pending.future.set_result(result)

    def _call_engine(self, batch: list[_Pending]) -> list[MicroResult]:
        requests = [pending.request for pending in batch]
        started_sec = time.monotonic()
        options = batch[0].stream.shared_options
        call = self._executor.submit(self.engine.transcribe, requests, options)
        error = call.exception()
        share_sec = (time.monotonic() - started_sec) / len(batch)
        with self._changed:
            self._num_batches += 1
            self._num_chunks += len(batch)
        if error is not None:
            raise _typed(error)
        if len(call.result()) != len(batch):
            raise InvariantError(
                f"the engine returned {len(call.result())} results for {len(batch)} micro chunks"
            )
        return [replace(result, engine_sec=share_sec) for result in call.result()]


def _typed(error: BaseException) -> LongformError:
    """Return `error` as one of ours: what machines do may pass, what code does is a bug."""
    if isinstance(error, LongformError):
        return error
    may_pass = isinstance(error, RuntimeError | MemoryError | OSError)
    kind = EngineUnavailableError if may_pass else InvariantError
    detail = " ".join(str(error).split())
    typed = kind(f"the speech engine failed: {type(error).__name__}: {detail}")
    typed.__cause__ = error
    return typed
