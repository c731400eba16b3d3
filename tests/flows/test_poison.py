"""A chunk that kills its worker process each time: named and put aside, and the rest completes."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter

from flows.transcribe import transcribe
from longform.errors import IncompleteTranscriptError
from longform.params import TranscribeParams
from longform.pipeline.chunk_claims import MAX_DEATHS
from longform.transcript.output import TranscribeOutput
from tests.conftest import WELCOME
from tests.flows.conftest import Stage

pytestmark = pytest.mark.server

PARAMS = TranscribeParams(macro_chunk_size_sec=30)


async def run(out: Path, **options: object) -> TranscribeOutput:
    """Run the flow with chunks short enough for several of them."""
    return await transcribe(str(WELCOME), PARAMS, output_dir=str(out), **options)


def texts(output: TranscribeOutput) -> list[str]:
    """Return what must be equal where two transcripts are."""
    return [segment.text for segment in output.segments]


async def open_runs_below(run_id: object) -> list[str]:
    """Return the names of flow and task runs of a run that are still open."""
    async with get_client() as api:
        below = {"parent_flow_run_id": {"any_": [run_id]}}
        subflows = await api.read_flow_runs(
            flow_run_filter=FlowRunFilter.model_validate(below), limit=200
        )
        ids = [run_id, *(sub.id for sub in subflows)]
        own = FlowRunFilter.model_validate({"id": {"any_": ids}})
        tasks = await api.read_task_runs(flow_run_filter=own, limit=200)
    runs: list[Any] = [*subflows, *tasks]
    return [each.name for each in runs if each.state is None or not each.state.is_final()]


async def test_a_poison_chunk_is_named_and_the_rest_completes(stage: Stage, tmp_path: Path) -> None:
    """It alone is blamed after three deaths, also by the next run, until somebody asks again."""
    whole = await run(tmp_path / "a", use_cache=False)
    poison = next(start for batch in stage.engine_calls for start in batch if start > 60 * 16_000)
    shutil.rmtree(tmp_path / "chunks")
    stage.direct(die_on={str(poison): 99})
    state = await transcribe(
        str(WELCOME), PARAMS, output_dir=str(tmp_path / "b"), return_state=True
    )
    with pytest.raises(IncompleteTranscriptError, match="1 of 5 chunks failed") as raised:
        await state.result()
    assert f"{MAX_DEATHS} worker processes died on it" in str(raised.value)
    assert len(list((stage.home / "attempts").glob("death-*"))) == MAX_DEATHS
    output = raised.value.output
    assert isinstance(output, TranscribeOutput)
    [gap] = [part for part in output.coverage if part.kind == "failed"]
    assert gap.start_sample <= poison < gap.end_sample
    assert set(texts(output)) < set(texts(whole))
    assert await open_runs_below(state.state_details.flow_run_id) == []

    stage.direct(die_on={str(poison): 99})
    with pytest.raises(IncompleteTranscriptError, match="worker processes died on it"):
        await run(tmp_path / "c")
    assert stage.engine_calls == []
    assert list((stage.home / "attempts").glob("death-*")) == []

    stage.direct()
    assert texts(await run(tmp_path / "d", use_cache=False)) == texts(whole)
    assert not list((tmp_path / "chunks").rglob("*.claim"))


@pytest.mark.full
async def test_a_neighbour_of_a_death_is_not_blamed(stage: Stage, tmp_path: Path) -> None:
    """Chunks that share a process with a dying one are transcribed, whatever Dask counts."""
    whole = await run(tmp_path / "a", use_cache=False)
    starts = sorted(start for batch in stage.engine_calls for start in batch)
    stage.direct(die_on={str(starts[0]): 2, str(starts[-1]): 2})
    assert texts(await run(tmp_path / "b", use_cache=False)) == texts(whole)
    assert len(list((stage.home / "attempts").glob("death-*"))) == 4
