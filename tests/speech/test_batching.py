"""The batcher: every chunk once, its own result, full batches, failures kept apart."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longform.audio import Span
from longform.chunking.micro_chunk import MicroChunk
from longform.errors import EngineUnavailableError, InvariantError, WeightsError
from longform.speech.batching import Batcher
from longform.speech.engine import DecodeOptions, MicroRequest, MicroResult

BEAM = DecodeOptions()
GREEDY = DecodeOptions(beam_size=1)
WAIT_SEC = 10.0


class RecordingEngine:
    """Answers with the chunk's start sample as its language, and keeps each call."""

    identity = "recording"

    def __init__(self, act: Callable[[list[int]], None] = lambda starts: None) -> None:
        self.calls: list[tuple[list[int], DecodeOptions]] = []
        self.threads: set[int] = set()
        self._act = act

    def transcribe(
        self, batch: Sequence[MicroRequest], options: DecodeOptions
    ) -> list[MicroResult]:
        starts = [request.chunk.span.start_sample for request in batch]
        self.calls.append((starts, options))
        self.threads.add(threading.get_ident())
        self._act(starts)
        return [MicroResult((), str(start), 1.0) for start in starts]


def chunk(start: int) -> MicroChunk:
    """Return a chunk of one sample at `start`."""
    return MicroChunk(Span(start, start + 1), np.zeros(1, np.int16), ())


@given(
    num_chunks=st.lists(st.integers(0, 7), min_size=1, max_size=4),
    batch_size=st.integers(1, 4),
    max_outstanding=st.integers(1, 5),
    greedy=st.sets(st.integers(0, 3)),
)
@settings(max_examples=40)
def test_every_chunk_is_decoded_once_and_gets_its_own_result(
    num_chunks: list[int], batch_size: int, max_outstanding: int, greedy: set[int]
) -> None:
    """Whatever streams race, no chunk is lost, doubled, mixed up or put beside other options."""
    engine = RecordingEngine()
    batcher = Batcher(engine, batch_size, max_outstanding, linger_sec=0.01)
    results: dict[int, list[tuple[int, Future[MicroResult]]]] = {}

    def feed(number: int) -> None:
        options = GREEDY if number in greedy else BEAM
        with batcher.open_stream(options) as stream:
            starts = [number * 1_000 + i for i in range(num_chunks[number])]
            results[number] = [(start, stream.submit(chunk(start))) for start in starts]

    feeders = [threading.Thread(target=feed, args=(n,)) for n in range(len(num_chunks))]
    for feeder in feeders:
        feeder.start()
    for feeder in feeders:
        feeder.join(WAIT_SEC)
    pairs = [pair for each in results.values() for pair in each]
    heard = [(start, future.result(WAIT_SEC).language) for start, future in pairs]
    batcher.close()

    assert len(heard) == sum(num_chunks)
    assert all(language == str(start) for start, language in heard)
    decoded = [start for starts, _ in engine.calls for start in starts]
    assert sorted(decoded) == sorted(start for start, _ in heard)
    assert len(engine.threads) <= 1
    for starts, options in engine.calls:
        assert len(starts) <= batch_size
        assert {start // 1_000 in greedy for start in starts} == {options == GREEDY}
    for number in results:  # in order within a stream
        own = [start for start in decoded if start // 1_000 == number]
        assert own == sorted(own)


def test_a_batch_is_filled_across_streams() -> None:
    """Two streams with half a batch each go out as one full batch, long before the linger."""
    engine = RecordingEngine()
    batcher = Batcher(engine, batch_size=4, linger_sec=60.0)
    streams = [batcher.open_stream(BEAM) for _ in range(2)]
    futures = [s.submit(chunk(10 * n + i)) for n, s in enumerate(streams) for i in range(2)]
    for future in futures:
        future.result(WAIT_SEC)
    batcher.close()
    assert [len(starts) for starts, _ in engine.calls] == [4]
    assert batcher.stats.fill == 1.0


def batches_of(*streams: tuple[DecodeOptions, int | None, bool]) -> list[list[int]]:
    """Return the batches of two in which three chunks of each stream go, sent in turns.

    A stream is its options, the rank that it takes over, and whether it takes turns.
    """
    gate = threading.Event()
    engine = RecordingEngine(lambda starts: gate.wait(WAIT_SEC) and None)
    batcher = Batcher(engine, batch_size=2, max_outstanding=4, linger_sec=60.0)
    with batcher.open_stream(GREEDY, takes_turns=True) as first:
        first.submit(chunk(0))
    while not engine.calls:  # from then on it holds the engine while the others arrive
        time.sleep(0.001)
    opened = [
        batcher.open_stream(options, None, rank, takes_turns=turns)
        for options, rank, turns in streams
    ]
    sent = [
        stream.submit(chunk(10 * number + at))
        for at in range(3)
        for number, stream in enumerate(opened, 1)
    ]
    for stream in opened:
        stream.finish()
    gate.set()
    for future in sent:
        future.result(WAIT_SEC)
    batcher.close()
    return [starts for starts, _ in engine.calls[1:]]


def test_the_oldest_stream_goes_first() -> None:
    """Others fill its last batch, so that macro chunks end one after the other."""
    assert batches_of((BEAM, None, False), (BEAM, None, False)) == [[10, 11], [12, 20], [21, 22]]


def test_streams_that_take_turns_are_served_chunk_by_chunk() -> None:
    """One that may be long keeps no other waiting."""
    assert batches_of((BEAM, None, True), (BEAM, None, True)) == [[10, 20], [11, 21], [12, 22]]


def test_a_second_attempt_takes_the_place_of_the_first() -> None:
    """It goes before younger streams, in one batch with chunks that may still be halved."""
    halved = DecodeOptions(halves_follow=True)
    batches = batches_of((halved, None, False), (BEAM, -1, False))
    assert batches == [[20, 21], [22, 10], [11, 12]]


def test_a_partial_batch_goes_out_when_no_stream_can_add_to_it() -> None:
    """Chunks of finished streams do not wait for a linger that nothing can end."""
    engine = RecordingEngine()
    batcher = Batcher(engine, batch_size=8, linger_sec=60.0)
    with batcher.open_stream(BEAM) as stream:
        future = stream.submit(chunk(1))
    assert future.result(WAIT_SEC).language == "1"
    batcher.close()
    assert batcher.stats.fill == 1 / 8


def test_a_stream_at_its_bound_is_not_waited_for() -> None:
    """A stream that may not submit more sends its partial batch off at once."""
    batcher = Batcher(RecordingEngine(), batch_size=8, max_outstanding=2, linger_sec=60.0)
    with batcher.open_stream(BEAM) as stream:
        futures = [stream.submit(chunk(i)) for i in range(6)]
        assert [f.result(WAIT_SEC).language for f in futures] == list("012345")
    batcher.close()


def test_a_partial_batch_goes_out_when_sources_stall() -> None:
    """An open but silent stream delays other chunks by the linger and no longer."""
    batcher = Batcher(RecordingEngine(), batch_size=8, linger_sec=0.05)
    stream = batcher.open_stream(BEAM)
    assert stream.submit(chunk(1)).result(WAIT_SEC).language == "1"
    batcher.close()


def test_an_idle_engine_takes_the_first_chunk_at_once() -> None:
    """After a pause the first words do not wait for a full batch, and the next batch is full."""
    gate = threading.Event()
    engine = RecordingEngine(lambda starts: gate.wait(WAIT_SEC) and None)
    batcher = Batcher(engine, batch_size=4, linger_sec=0.2)
    time.sleep(0.3)  # the pause
    with batcher.open_stream(BEAM) as stream:
        first = stream.submit(chunk(0))
        while not engine.calls:
            time.sleep(0.001)
        rest = [stream.submit(chunk(start)) for start in range(1, 5)]
        gate.set()
        for future in (first, *rest):
            future.result(WAIT_SEC)
    batcher.close()
    assert [starts for starts, _ in engine.calls] == [[0], [1, 2, 3, 4]]


def test_submit_blocks_at_the_bound() -> None:
    """Decoding cannot run more than the bound ahead of the engine."""
    gate = threading.Event()
    batcher = Batcher(
        RecordingEngine(lambda starts: gate.wait(WAIT_SEC) and None), 1, 2, linger_sec=0.01
    )
    stream = batcher.open_stream(BEAM)
    submitted: list[Future[MicroResult]] = []
    feeder = threading.Thread(
        target=lambda: submitted.extend(stream.submit(chunk(i)) for i in range(3))
    )
    feeder.start()
    feeder.join(0.2)
    assert feeder.is_alive()
    gate.set()
    feeder.join(WAIT_SEC)
    assert [future.result(WAIT_SEC).language for future in submitted] == ["0", "1", "2"]
    batcher.close()


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (RuntimeError("out of\nmemory"), EngineUnavailableError),
        (TypeError("a bug"), InvariantError),
        (WeightsError("damaged"), WeightsError),
    ],
)
def test_a_failure_stays_in_its_batch(raised: Exception, expected: type[Exception]) -> None:
    """An exception of any kind becomes a typed, one-line error of that batch only."""

    def act(starts: list[int]) -> None:
        if 13 in starts:
            raise raised

    batcher = Batcher(RecordingEngine(act), batch_size=1, linger_sec=0.01)
    with batcher.open_stream(BEAM) as stream:
        bad, good = stream.submit(chunk(13)), stream.submit(chunk(14))
    assert good.result(WAIT_SEC).language == "14"
    error = bad.exception(WAIT_SEC)
    assert type(error) is expected
    assert "\n" not in str(error)
    batcher.close()


def test_a_chunk_to_blame_fails_alone() -> None:
    """Its batch-mates, of whatever stream, are decoded all the same."""

    def act(starts: list[int]) -> None:
        if 13 in starts:
            raise RuntimeError("poison")

    batcher = Batcher(RecordingEngine(act), batch_size=4, linger_sec=0.05)
    with batcher.open_stream(BEAM) as one, batcher.open_stream(BEAM) as other:
        futures = [one.submit(chunk(12)), other.submit(chunk(13)), one.submit(chunk(14))]
    assert [futures[0].result(WAIT_SEC).language, futures[2].result(WAIT_SEC).language] == [
        "12",
        "14",
    ]
    assert type(futures[1].exception(WAIT_SEC)) is EngineUnavailableError
    batcher.close()


def test_too_few_results_are_a_bug_not_a_mix_up() -> None:
    """An engine that loses a result fails the batch instead of shifting the others."""

    class Losing(RecordingEngine):
        def transcribe(
            self, batch: Sequence[MicroRequest], options: DecodeOptions
        ) -> list[MicroResult]:
            return super().transcribe(batch, options)[1:]

    batcher = Batcher(Losing(), batch_size=2, linger_sec=0.01)
    with batcher.open_stream(BEAM) as stream:
        futures = [stream.submit(chunk(i)) for i in range(2)]
    assert all(type(future.exception(WAIT_SEC)) is InvariantError for future in futures)
    batcher.close()


def test_an_abandoned_stream_is_not_decoded() -> None:
    """Leaving a stream by an exception withdraws what has not been sent to the engine."""
    gate = threading.Event()
    engine = RecordingEngine(lambda starts: gate.wait(WAIT_SEC) and None)
    batcher = Batcher(engine, batch_size=1, max_outstanding=4, linger_sec=0.01)
    futures: list[Future[MicroResult]] = []

    def abandon() -> None:
        with batcher.open_stream(BEAM) as stream:
            futures.extend(stream.submit(chunk(i)) for i in range(3))
            while not engine.calls:
                time.sleep(0.001)
            raise KeyError

    with pytest.raises(KeyError):
        abandon()
    gate.set()
    assert futures[0].result(WAIT_SEC).language == "0"
    batcher.close()
    assert [future.cancelled() for future in futures] == [False, True, True]
    assert [starts for starts, _ in engine.calls] == [[0]]


def test_a_closed_batcher_fails_what_waits_and_takes_no_more() -> None:
    """Closing leaves no future unresolved and no thread behind."""
    gate = threading.Event()
    batcher = Batcher(
        RecordingEngine(lambda starts: gate.wait(WAIT_SEC) and None), 1, 4, linger_sec=0.01
    )
    stream = batcher.open_stream(BEAM)
    first, second = stream.submit(chunk(0)), stream.submit(chunk(1))
    while not first.running():
        time.sleep(0.001)
    closer = threading.Thread(target=batcher.close)
    closer.start()
    assert type(second.exception(WAIT_SEC)) is EngineUnavailableError
    gate.set()
    closer.join(WAIT_SEC)
    assert first.result(WAIT_SEC).language == "0"
    with pytest.raises(InvariantError):
        stream.submit(chunk(2))


def test_the_time_of_a_call_is_shared_among_its_chunks() -> None:
    """Summed over all chunks it is the time in which the engine worked, whatever the batches."""
    called_sec: list[float] = []

    def work(starts: list[int]) -> None:
        started = time.monotonic()
        time.sleep(0.02)
        called_sec.append(time.monotonic() - started)

    batcher = Batcher(RecordingEngine(work), batch_size=3, linger_sec=0.01)
    with batcher.open_stream(BEAM) as stream:
        futures = [stream.submit(chunk(start)) for start in range(7)]
    results = [future.result(WAIT_SEC) for future in futures]
    batcher.close()
    assert all(result.engine_sec > 0 for result in results)
    assert sum(result.engine_sec for result in results) >= sum(called_sec)
