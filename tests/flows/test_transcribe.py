"""The flow `transcribe` on a real server and a real cluster, with an engine that is scripted."""

import shutil
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter

from flows.transcribe import transcribe
from longform.audio import Span, require_tiling, to_samples
from longform.errors import IncompleteTranscriptError, NotMediaError
from longform.params import TranscribeParams
from longform.transcript.output import TranscribeOutput
from tests.conftest import WELCOME
from tests.flows.conftest import Stage
from tests.support.range_server import range_server

pytestmark = pytest.mark.server

PARAMS = TranscribeParams(macro_chunk_size_sec=30)
NUM_CHUNKS = 5  # of the 135 s of the bundled recording


async def run(media: Path | str, out: Path, **options: object) -> TranscribeOutput:
    """Run the flow with chunks short enough for several of them."""
    return await transcribe(str(media), PARAMS, output_dir=str(out), **options)


def content_of(output: TranscribeOutput) -> list[bytes]:
    """Return what is in the files of an output."""
    return [Path(name).read_bytes() for name in output.files]


def text_of(output: TranscribeOutput) -> list[tuple[float, float, str]]:
    """Return what must be equal where two transcripts are."""
    return [(s.start_time_sec, s.end_time_sec, s.text) for s in output.segments]


async def test_every_sample_is_accounted_for(stage: Stage, tmp_path: Path) -> None:
    """Coverage tiles the recording exactly, and every micro chunk reached the engine once."""
    output = await run(WELCOME, tmp_path / "out")
    whole = Span(0, to_samples(output.input_duration_sec))
    require_tiling([part.span for part in output.coverage], whole)
    starts = [start for batch in stage.engine_calls for start in batch]
    assert len(starts) == len(set(starts)) > 3
    assert {part.kind for part in output.coverage} <= {"speech", "non_speech"}
    assert sorted(Path(name).suffix for name in output.files) == [
        ".html",
        ".json",
        ".srt",
        ".tsv",
        ".txt",
        ".vtt",
    ]


async def test_each_chunk_is_a_subflow_under_its_task(stage: Stage, tmp_path: Path) -> None:
    """The server links one subflow run per macro chunk to a task run of the parent."""
    state = await transcribe(str(WELCOME), PARAMS, output_dir=str(tmp_path), return_state=True)
    async with get_client() as api:
        run_id = state.state_details.flow_run_id
        subflows = await api.read_flow_runs(
            flow_run_filter=FlowRunFilter.model_validate({"parent_flow_run_id": {"any_": [run_id]}})
        )
        parents = [await api.read_task_run(sub.parent_task_run_id) for sub in subflows]
    assert state.is_completed()
    assert len(subflows) == NUM_CHUNKS
    assert {parent.flow_run_id for parent in parents} == {run_id}
    assert len({parent.id for parent in parents}) == NUM_CHUNKS
    assert all("welcome.flac 0:" in sub.name for sub in subflows)


async def test_a_rerun_under_another_address_transcribes_nothing(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second local copy takes every chunk from the cache, without any cluster at all."""
    first = await run(WELCOME, tmp_path / "a")
    copy = tmp_path / "elsewhere" / "other name.flac"
    copy.parent.mkdir()
    shutil.copyfile(WELCOME, copy)
    stage.direct()
    monkeypatch.setenv("LONGFORM_CLUSTER", "tcp://127.0.0.1:1")  # nobody is there
    second = await run(copy, tmp_path / "b")
    assert stage.engine_calls == []
    assert text_of(second) == text_of(first)


async def test_a_rerun_under_another_query_string_transcribes_nothing(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signed URL that has changed since finds every chunk, and no signature is kept."""
    with range_server() as server:
        url = server.add(WELCOME, "/welcome.flac")
        first = await run(f"{url}?signature=abc", tmp_path / "a")
        stage.direct()
        monkeypatch.setenv("LONGFORM_CLUSTER", "tcp://127.0.0.1:1")  # nobody is there
        second = await run(f"{url}?signature=xyz", tmp_path / "b")
    assert stage.engine_calls == []
    assert text_of(second) == text_of(first)
    assert not any(b"signature" in content for content in content_of(second))


async def test_a_chunk_that_fails_twice_is_retried(stage: Stage, tmp_path: Path) -> None:
    """Two injected failures change nothing in the output but the time it takes."""
    undisturbed = await run(WELCOME, tmp_path / "a", use_cache=False)
    first_of_second_chunk = next(
        start for batch in stage.engine_calls for start in batch if start > 30 * 16_000
    )
    stage.direct(fail_first={str(first_of_second_chunk): 2})
    disturbed = await run(WELCOME, tmp_path / "b", use_cache=False)
    assert text_of(disturbed) == text_of(undisturbed)
    assert len(list((stage.home / "attempts").iterdir())) == 2


async def test_a_chunk_that_fails_for_good_is_reported_and_redone_alone(
    stage: Stage, tmp_path: Path
) -> None:
    """The rest is written, coverage names the gap, and a rerun transcribes only that chunk."""
    whole = await run(WELCOME, tmp_path / "a", use_cache=False)
    start = next(start for batch in stage.engine_calls for start in batch if start > 30 * 16_000)
    stage.direct(fail_first={str(start): 99}, error="InvariantError")
    shutil.rmtree(tmp_path / "chunks")
    with pytest.raises(
        IncompleteTranscriptError, match=f"1 of {NUM_CHUNKS} chunks failed"
    ) as raised:
        await run(WELCOME, tmp_path / "b")
    partial = raised.value.output
    assert isinstance(partial, TranscribeOutput)
    failed = [part for part in partial.coverage if part.kind == "failed"]
    assert len(failed) == 1
    assert failed[0].start_sample <= start < failed[0].end_sample
    assert partial.files
    assert all(content_of(partial))
    stage.direct()
    healed = await run(WELCOME, tmp_path / "b")
    redone = [start for batch in stage.engine_calls for start in batch]
    assert redone
    assert all(failed[0].start_sample <= at < failed[0].end_sample for at in redone)
    assert text_of(healed) == text_of(whole)


async def test_a_partial_result_can_be_allowed(stage: Stage, tmp_path: Path) -> None:
    """With on_chunk_failure=partial the run completes and says what is missing."""
    stage.direct(fail_first={"*": 0})
    await run(WELCOME, tmp_path / "a", use_cache=False)
    start = stage.engine_calls[0][0]
    stage.direct(fail_first={str(start): 99}, error="InvariantError")
    params = PARAMS.model_copy(update={"on_chunk_failure": "partial"})
    output = await transcribe(str(WELCOME), params, output_dir=str(tmp_path), use_cache=False)
    assert [part.kind for part in output.coverage].count("failed") == 1


async def test_a_sequential_source_gives_the_same_cuts(
    stage: Stage, tmp_path: Path, matroska: Path
) -> None:
    """The same audio in a container that must be read from the start gives the same text."""
    windowed = await run(WELCOME, tmp_path / "a", use_cache=False)
    sequential = await run(matroska, tmp_path / "b", use_cache=False)
    assert sequential.provenance.access == "sequential"
    assert windowed.provenance.access == "windowed"
    assert text_of(sequential) == text_of(windowed)
    assert not list((tmp_path / "work").rglob("*.s16"))


def _harmed(recording: Path, target: Path, start: float, end: float) -> Path:
    content = bytearray(recording.read_bytes())
    first, last = int(len(content) * start), int(len(content) * end)
    content[first:last] = bytes(last - first)
    target.write_bytes(content)
    return target


@pytest.mark.parametrize("access", ["windowed", "sequential"])
async def test_a_damaged_recording_is_complete_with_damage(
    access: str, stage: Stage, tmp_path: Path, matroska: Path
) -> None:
    """The run completes under a name of its own, names the damage, and keeps it in the cache."""
    given = {"windowed": WELCOME, "sequential": matroska}[access]
    broken = _harmed(given, tmp_path / f"broken{given.suffix}", 0.5, 0.52)
    options = {"output_dir": str(tmp_path / "out")}
    state = await transcribe(str(broken), PARAMS, return_state=True, **options)
    assert (state.type.value, state.name) == ("COMPLETED", "CompleteWithDamage")
    again = await run(broken, tmp_path / "again")
    output = await state.result()
    for one in (output, again):
        assert one.status == "complete_with_damage"
        whole = Span(0, to_samples(one.input_duration_sec))
        require_tiling([part.span for part in one.coverage], whole)
        damaged = [part for part in one.coverage if part.kind == "damaged"]
        assert damaged
        assert all(part.detail for part in damaged)
        assert 1.0 < one.damaged_sec < 10.0
        assert 60.0 < damaged[0].span.start_time_sec < 72.0
        assert any("damaged" in warning for warning in one.warnings)
    assert output.provenance.access == access
    assert again.coverage == output.coverage
    assert b'"status": "complete_with_damage"' in content_of(output)[0]


async def test_a_recording_that_ends_too_soon_is_complete_with_damage(
    stage: Stage, tmp_path: Path
) -> None:
    """A file that was cut off is transcribed as far as it goes; the rest is named as missing."""
    broken = tmp_path / "cut.flac"
    broken.write_bytes(WELCOME.read_bytes()[: WELCOME.stat().st_size // 2])
    output = await run(broken, tmp_path / "out")
    assert output.status == "complete_with_damage"
    assert output.input_duration_sec == pytest.approx(135, abs=1)
    assert output.damaged_sec == pytest.approx(135 / 2, abs=10)
    assert output.coverage[-1].kind == "damaged"
    assert "promises" in output.coverage[-1].detail


async def test_a_recording_of_nothing_but_damage_fails(stage: Stage, tmp_path: Path) -> None:
    """Where not one second can be decoded, the run fails and says why."""
    broken = _harmed(WELCOME, tmp_path / "broken.flac", 300 / WELCOME.stat().st_size, 1.0)
    with pytest.raises(NotMediaError, match="no audio that can be decoded"):
        await run(broken, tmp_path / "out")
