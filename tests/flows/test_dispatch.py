"""What becomes of a chunk on the cluster: the table, and the way from a worker's store to ours."""

from pathlib import Path

import cloudpickle
import httpx
import pytest
from distributed import KilledWorker

from flows import dispatch
from flows.dispatch import Next, what_next
from flows.macro_chunk import run_macro_chunk, run_without_subflow
from flows.run_lifecycle import RunContext
from flows.transcribe import transcribe
from infra.clusters.workers import WHOLE_WORKER
from longform.errors import (
    ApiUnavailableError,
    ChunkQuarantinedError,
    ClusterLostError,
    EngineUnavailableError,
    EnvironmentFaultError,
    OutputError,
)
from longform.pipeline.chunk_cache import ChunkStore
from longform.pipeline.chunk_job import ChunkClaimedElsewhere, ChunkReference, MustRunAlone
from longform.settings import Settings
from longform.transcript.segment import ChunkStats
from tests.conftest import WELCOME
from tests.flows.conftest import Stage

KEY = "ab" * 32
MOST_BYTES = 5_000  # of a task, pickled: it is for every chunk anew
MOST_SLOTS = Settings.model_fields["slots_per_worker"].metadata[1].le


@pytest.mark.parametrize(
    ("ending", "step"),
    [
        (ChunkReference(key=KEY, start_sample=0, end_sample=1, stats=ChunkStats()), Next.DONE),
        (ChunkClaimedElsewhere(key=KEY), Next.AGAIN),
        (MustRunAlone(key=KEY), Next.ALONE),
        (KilledWorker("macro_chunk", None, 3), Next.AFTER_DEATHS),
        (ApiUnavailableError("503"), Next.AFTER_OUTAGE),
        (httpx.ConnectError("away"), Next.AFTER_OUTAGE),
        (OutputError("the disk is full"), Next.END_RUN),
        (ClusterLostError("gone"), Next.END_RUN),
        (EngineUnavailableError("once more failed too"), Next.FAILED),
        (ChunkQuarantinedError("three deaths"), Next.FAILED),
        (ValueError("a bug"), Next.FAILED),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, Next) else "",
)
def test_every_ending_leads_somewhere(ending: object, step: Next) -> None:
    """Endings of each kind are in the table, and the narrower line comes first."""
    assert what_next(ending) is step


@pytest.mark.parametrize("slots", range(1, MOST_SLOTS + 1))
def test_a_chunk_that_must_be_alone_is_alone_and_never_waits_for_rounding(slots: int) -> None:
    """Beside it no other chunk fits; shares given back in any order leave enough for it."""
    assert WHOLE_WORKER + 1 / slots > 1.0
    assert 2 * WHOLE_WORKER > 1.0
    available = 1.0
    for _ in range(1_000):  # as Dask does it, where all slots come and go
        for _ in range(slots):
            available -= 1 / slots
        for _ in range(slots):
            available += 1 / slots
    assert available >= WHOLE_WORKER


def test_what_goes_with_every_chunk_is_small() -> None:
    """Prefect pickles a task by value with all that it names: engine and subflow are not in it."""
    for task in (run_macro_chunk, run_without_subflow):
        assert len(cloudpickle.dumps(task)) < MOST_BYTES


@pytest.mark.server
async def test_a_chunk_store_that_is_not_shared_says_so(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the flow does not see what a worker has kept, the run names the setting, and ends."""
    monkeypatch.setattr(dispatch, "STORE_LAG_SEC", 0.1)
    elsewhere = ChunkStore(str(tmp_path / "elsewhere"))
    monkeypatch.setattr(RunContext, "store", property(lambda _: elsewhere))
    with pytest.raises(EnvironmentFaultError, match="set LONGFORM_CHUNK_STORE to"):
        await transcribe(str(WELCOME), output_dir=str(tmp_path / "out"))
    assert not list((tmp_path / "chunks").rglob("*.claim"))
