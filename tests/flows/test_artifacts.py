"""What a run leaves on a real server for people to look at."""

from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter
from prefect.client.schemas.objects import Artifact

from flows.transcribe import transcribe
from longform.params import TranscribeParams
from tests.conftest import WELCOME
from tests.flows.conftest import Stage

pytestmark = pytest.mark.server


async def artifacts_of(run_id: object) -> dict[str, Artifact]:
    """Return the artifacts of a run by their keys."""
    async with get_client() as api:
        found = await api.read_artifacts(
            artifact_filter=ArtifactFilter.model_validate({"flow_run_id": {"any_": [run_id]}})
        )
    return {str(artifact.key): artifact for artifact in found}


async def test_a_run_can_be_looked_at(stage: Stage, tmp_path: Path) -> None:
    """It has a progress that ended at 100, a summary, a timeline, a dashboard link and tags."""
    params = TranscribeParams(macro_chunk_size_sec=60)
    state = await transcribe(str(WELCOME), params, output_dir=str(tmp_path), return_state=True)
    run_id = state.state_details.flow_run_id
    async with get_client() as api:
        run = await api.read_flow_run(run_id)
    found = await artifacts_of(run_id)
    assert run.name == "transcribe welcome.flac"
    assert {"longform", "source:file", "language:en"} <= set(run.tags)
    assert found["transcription-progress"].data == 100.0
    summary = str(found["transcription-summary"].data)
    assert f"- `{tmp_path / 'welcome.json'}`" in summary
    assert "## Seams" in summary
    assert "[Dask dashboard](<http://127.0.0.1:" in summary
    assert "data:image/svg+xml;base64," in str(found["transcription-timeline"].data)
    assert "http://127.0.0.1:" in str(found["dask-dashboard"].data)
