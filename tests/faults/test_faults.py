"""Every fault in every container at every place: the same sound, or the error that is expected."""

from collections.abc import Callable
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest

from longform.audio import Pcm, Span
from longform.errors import LongformError
from longform.media.decode.extract import extract_all, extract_window
from longform.media.model import Recording
from longform.media.probe.probe import probe
from longform.media.sources.open import open_source
from longform.net.policy import SourcePolicy
from tests.faults.conftest import NAMES
from tests.faults.fault_cases import CASES, FaultCase
from tests.support.fault_server import Fault, FaultServer, Served

PLACES = {"head": 0.12, "middle": 0.5, "tail": 0.88}  # of the file; the first look ends before
WINDOWS = 3
NO_FAULT = FaultCase("none", Fault(lambda exchange: exchange.answer()))

Record = Callable[[str, object], None]


async def read_all(recording: Recording) -> Pcm:
    """Return all audio, in windows where the container has them, else in one pass."""
    if recording.media.access == "sequential":
        return np.concatenate([block async for block in extract_all(recording)])
    total = recording.media.num_samples_estimate or 0
    edges = [total * number // WINDOWS for number in range(WINDOWS + 1)]
    parts: list[Pcm] = []
    for start, end in pairwise(edges):
        window = extract_window(recording, Span(start, end), open_ended=end == total)
        parts += [block async for block in window]
    return np.concatenate(parts)


async def transcode(
    server: FaultServer, content: bytes, case: FaultCase, place: int, policy: SourcePolicy
) -> Pcm:
    """Open, probe and decode what `server` serves, which goes wrong at `place`."""
    strict = policy.model_copy(update=dict(case.policy))
    if not case.mid_job:
        policy = strict
    server.served = Served(content, case.start.etag, case.start.last_modified)
    if not case.mid_job:
        server.arm(case.fault, place)
    source = await open_source(server.url, policy, Path())
    media = await probe(source, policy)
    if case.mid_job:
        server.arm(case.fault, place)
    # Another policy is another cache: nothing that the probe has read is kept.
    other = strict.model_copy(update={"max_lost_sec": 60.0})
    return await read_all(Recording(source=source, media=media, policy=other))


_undisturbed: dict[str, Pcm] = {}


async def undisturbed(name: str, content: bytes, policy: SourcePolicy) -> Pcm:
    """Return what a server without faults gives, from the first call for each recording."""
    if name not in _undisturbed:
        server = FaultServer()
        _undisturbed[name] = await transcode(server, content, NO_FAULT, 0, policy)
        server.close()
    return _undisturbed[name]


def _cases() -> list[object]:
    """Every case; the sample is each fault once, going through containers and places in turn."""
    made = []
    for number, case in enumerate(CASES):
        for (turn, name), (step, place) in product(enumerate(NAMES), enumerate(PLACES)):
            sampled = turn == number % len(NAMES) and step == number % len(PLACES)
            marks = [pytest.mark.media] + ([] if sampled else [pytest.mark.full])
            made.append(
                pytest.param(case, name, place, id=f"{case.name}-{name}-{place}", marks=marks)
            )
    return made


@pytest.mark.parametrize(("case", "name", "place"), _cases())
@pytest.mark.usefixtures("small_blocks")
async def test_same_sound_or_the_expected_error(
    case: FaultCase,
    name: str,
    place: str,
    recordings: dict[str, Path],
    faulty: FaultServer,
    policy: SourcePolicy,
    record_property: Record,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The decoded audio is identical to the undisturbed one, or the error is the expected one."""
    content = recordings[name].read_bytes()
    expected = await undisturbed(name, content, policy)
    monkeypatch.setattr("longform.media.sources.http_requests.FLOOR_WINDOWS", case.floor_windows)
    outcome: Pcm | LongformError
    try:
        outcome = await transcode(faulty, content, case, int(len(content) * PLACES[place]), policy)
    except LongformError as error:
        outcome = error
    record_property("fault", case.name)
    record_property("container", name)
    record_property("requests", faulty.hits)
    record_property("outcome", _said(outcome, expected))
    assert faulty.hits > 0, "the fault was never met: the case proves nothing"
    wanted = "healed" if case.error is None else case.error.__name__
    record_property("expected", _said(outcome, expected) == wanted)
    assert _said(outcome, expected) == wanted
    if isinstance(outcome, LongformError):
        assert type(outcome) is case.error
        assert "\n" not in str(outcome)


def _said(outcome: Pcm | LongformError, expected: Pcm) -> str:
    if isinstance(outcome, LongformError):
        return type(outcome).__name__
    return "healed" if np.array_equal(outcome, expected) else "SILENT LOSS"


def test_the_suite_is_as_large_as_it_says() -> None:
    """At least 20 faults, 11 containers, 3 places; the sample has each of them."""
    assert len({case.name for case in CASES}) == len(CASES) >= 20
    assert len(set(NAMES)) == 11
    assert len(CASES) >= len(NAMES) * len(PLACES) > len(PLACES) == 3
