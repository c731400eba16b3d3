"""The flow `reprocess` on a real server and a real cluster, with an engine that is scripted."""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.client.schemas.filters import ArtifactFilter

from flows import batch
from flows.dispatch import ChunkDispatcher
from flows.reprocess import reprocess
from longform.errors import BatchFailedError, EnvironmentFaultError
from longform.media.decode.ffmpeg_args import find_ffmpeg
from longform.params import TranscribeParams
from longform.reprocess.batch_report import BatchReport, FileRecord
from tests.conftest import WELCOME
from tests.flows.conftest import Stage
from tests.support.range_server import range_server

pytestmark = pytest.mark.server

PARAMS = TranscribeParams(macro_chunk_size_sec=10, split_search_sec=2)
CLIP_SEC = 30
NUM_CHUNKS = 2  # of a clip
NOBODY = "tcp://127.0.0.1:1"
PATIENCE_SEC = 240.0  # for what takes seconds on a machine that is not busy


def clip(path: Path, start_sec: int) -> Path:
    """Cut a clip out of the bundled recording."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cut = ["-ss", str(start_sec), "-t", str(CLIP_SEC), "-i", WELCOME]
    subprocess.run([find_ffmpeg(None), "-v", "error", "-y", *cut, path], check=True)
    return path


@pytest.fixture
def shows(stage: Stage, tmp_path: Path) -> Path:
    """Return a folder with two recordings of one name, and something that is none."""
    clip(tmp_path / "shows" / "a" / "talk.flac", 0)
    clip(tmp_path / "shows" / "b" / "talk.flac", 40)
    (tmp_path / "shows" / "notes.flac").write_text("only words\n" * 50)
    return tmp_path / "shows"


async def run(out: Path, **options: Any) -> BatchReport:
    """Run the flow over `shows` with chunks short enough for several of them."""
    given = {"params": PARAMS, "output_dir": str(out), "output_formats": ("txt",)} | options
    async with asyncio.timeout(PATIENCE_SEC):
        return await reprocess(**given)


def by_name(report: BatchReport) -> dict[str, FileRecord]:
    """Return the records by the last two parts of their source."""
    return {"/".join(Path(each.source).parts[-2:]): each for each in report.files}


async def test_one_bad_file_stops_no_other(stage: Stage, shows: Path, tmp_path: Path) -> None:
    """The others are transcribed, state and report tell of it, and `failed` finds it again."""
    out = tmp_path / "out"
    options = {"glob": f"{shows}/**/*.flac", "params": PARAMS, "output_dir": str(out)}
    state = await reprocess(**options, output_formats=("txt",), return_state=True)
    assert (state.type.value, state.name) == ("COMPLETED", "CompletedWithFailures")
    assert state.message.startswith("1 of 3 files failed")
    report = await state.result()
    files = by_name(report)
    assert {name: each.outcome for name, each in files.items()} == {
        "a/talk.flac": "transcribed",
        "b/talk.flac": "transcribed",
        "shows/notes.flac": "failed",
    }
    assert files["shows/notes.flac"].error == "NotMediaError"
    assert (out / "a" / "talk.txt").read_text() != (out / "b" / "talk.txt").read_text()
    assert report.cost.audio_sec == pytest.approx(2 * CLIP_SEC, abs=0.1)
    assert (report.cost.num_chunks, report.cost.num_cached_chunks) == (2 * NUM_CHUNKS, 0)
    assert report.cost.gpu_sec > 0
    [address] = out.glob("reprocess-*.json")
    assert report.address == str(address)
    written = BatchReport.model_validate_json(address.read_bytes())
    assert written == report
    async with get_client() as api:
        run_id = state.state_details.flow_run_id
        shown = await api.read_artifacts(
            artifact_filter=ArtifactFilter.model_validate({"flow_run_id": {"any_": [run_id]}})
        )
    [artifact] = [each for each in shown if each.type == "table"]
    rows = json.loads(str(artifact.data))
    assert [row["outcome"] for row in rows] == ["failed", "transcribed", "transcribed"]
    assert str(address) in str(artifact.description)
    assert any(each.type == "progress" and each.data == 100.0 for each in shown)

    clip(shows / "notes.flac", 80)
    healed = await run(out, glob=f"{shows}/**/*.flac", select="failed")
    files = by_name(healed)
    assert files["shows/notes.flac"].outcome == "transcribed"
    assert "failed before" in files["shows/notes.flac"].reason
    assert files["a/talk.flac"].outcome == "skipped"
    assert not list(out.rglob("*.failed.json"))


async def test_what_is_outdated_is_replaced_in_its_place(
    stage: Stage, shows: Path, tmp_path: Path
) -> None:
    """Changed parameters and changed recordings are told apart, and what changed is reported."""
    (shows / "notes.flac").unlink()
    options: dict[str, Any] = {"glob": f"{shows}/*/talk.flac", "compare": True}
    out = tmp_path / "out"
    await run(out, **options)
    clip(shows / "b" / "talk.flac", 60)
    report = await run(out, **options, select="outdated")
    files = by_name(report)
    assert (files["a/talk.flac"].outcome, files["a/talk.flac"].reason) == ("skipped", "up to date")
    changed = files["b/talk.flac"]
    assert (changed.outcome, changed.reason) == ("transcribed", "the recording changed")
    assert changed.change is not None
    assert changed.change.num_replaced + changed.change.num_added > 0
    assert (out / "b" / "talk.changes.html").exists()
    narrow = PARAMS.model_copy(update={"beam_size": 1})
    report = await run(out, **options, select="outdated", params=narrow, limit=1)
    assert [each.outcome for each in report.files] == ["transcribed", "not_reached"]
    assert "beam_size: 5 → 1" in report.files[0].reason
    assert sorted(path.name for path in out.rglob("*.json") if "reprocess" not in path.name) == [
        "talk.json",
        "talk.json",
    ]


async def test_a_new_transcript_with_gaps_does_not_replace_a_whole_one(
    stage: Stage, shows: Path, tmp_path: Path
) -> None:
    """A chunk that fails for good leaves the old files as they were, and a note beside them."""
    out, source = tmp_path / "out", (str(shows / "a" / "talk.flac"),)
    await run(out, sources=source)
    before = (out / "talk.json").read_bytes()
    late = max(start for batch in stage.engine_calls for start in batch)
    stage.direct(fail_first={str(late): 99}, error="InvariantError")
    narrow = PARAMS.model_copy(update={"beam_size": 1})
    with pytest.raises(BatchFailedError, match="1 of 1 files failed") as raised:
        await run(out, sources=source, select="outdated", params=narrow)
    [record] = raised.value.report.files
    assert record.outcome == "incomplete"
    assert "the old transcript was kept" in record.reason
    assert (out / "talk.json").read_bytes() == before
    assert json.loads((out / "talk.failed.json").read_text())["error"]


async def test_a_manifest_gives_each_file_its_parameters(
    stage: Stage, shows: Path, tmp_path: Path
) -> None:
    """Rows bring their own parameters and names; a row that cannot be used fails alone."""
    manifest = shows / "list.csv"
    manifest.write_text(
        "source,name,language,beam_size\na/talk.flac,First,de,\nb/talk.flac,,,1\nb/talk.flac,x,,99\n"
    )
    report = await run(tmp_path / "out", manifest=str(manifest))
    assert [each.outcome for each in report.files] == ["transcribed", "transcribed", "failed"]
    assert "beam_size" in report.files[2].reason
    first = json.loads((tmp_path / "out" / "a" / "First.json").read_text())
    second = json.loads((tmp_path / "out" / "b" / "talk.json").read_text())
    assert first["provenance"]["parameters"]["language"] == "de"
    assert second["provenance"]["parameters"]["beam_size"] == 1
    assert second["provenance"]["parameters"]["language"] is None


async def test_a_dry_run_says_what_would_be_done(
    shows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the files and why, with no cluster, and writes no file."""
    monkeypatch.setenv("LONGFORM_CLUSTER", NOBODY)
    report = await run(tmp_path / "out", glob=f"{shows}/**/*.flac", dry_run=True)
    assert {each.outcome for each in report.files} == {"would_transcribe"}
    assert {each.reason for each in report.files} == {"no transcript yet"}
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


async def test_without_a_cluster_the_run_stops(
    shows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong for every file ends the run, with its reason and a report of the rest."""
    monkeypatch.setenv("LONGFORM_CLUSTER", NOBODY)
    with pytest.raises(EnvironmentFaultError, match="cannot be reached"):
        await run(tmp_path / "out", glob=f"{shows}/*/talk.flac", files_in_flight=1)
    [report] = (tmp_path / "out").glob("reprocess-*.json")
    written = BatchReport.model_validate_json(report.read_bytes())
    assert "cannot be reached" in written.stopped
    assert {each.outcome for each in written.files} == {"not_reached"}
    assert not list((tmp_path / "out").rglob("*.failed.json"))


async def test_no_slot_waits_for_the_end_of_a_file(
    stage: Stage, shows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All chunks of two files are at the cluster while none of them has ended."""
    go, sent = tmp_path / "go", []
    submit = ChunkDispatcher.submit

    async def watched(dispatcher: ChunkDispatcher, job: Any) -> None:
        sent.append(job.run_id)
        if len(sent) == 2 * NUM_CHUNKS:
            go.touch()  # only now may any chunk of either file end
        await submit(dispatcher, job)

    monkeypatch.setattr(ChunkDispatcher, "submit", watched)
    stage.direct(wait_for=str(go))
    report = await run(tmp_path / "out", glob=f"{shows}/*/talk.flac")
    assert [each.outcome for each in report.files] == ["transcribed", "transcribed"]
    assert [sent.count(each) for each in {*sent}] == [NUM_CHUNKS, NUM_CHUNKS]


async def test_a_feed_within_the_limit_of_its_host(
    stage: Stage, shows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Episodes are taken one at a time where the host's limit is one; a rerun finds them all."""
    at_work = most = 0
    transcribe_recording = batch.transcribe_recording

    async def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        try:
            return await transcribe_recording(*arguments, **options)
        finally:
            at_work -= 1

    monkeypatch.setattr(batch, "transcribe_recording", counted)
    async with get_client() as api:
        name = "longform-host-127.0.0.1"
        limit = GlobalConcurrencyLimitCreate(name=name, limit=1, active=True)
        await api.create_global_concurrency_limit(limit)
    try:
        with range_server() as server:
            items = "".join(
                f"<item><title>{name}</title><guid>{name}</guid>"
                f'<enclosure type="audio/flac" url="/{name}/talk.flac?t=1"/></item>'
                for name in ("b", "a")
            )
            feed = f'<rss version="2.0"><channel><title>x</title>{items}</channel></rss>'
            url = server.add(feed.encode(), "/feed.xml")
            for name in ("a", "b"):
                server.add(shows / name / "talk.flac", f"/{name}/talk.flac")
            report = await run(tmp_path / "out", feed=url)
            again = await run(tmp_path / "out", feed=url)
    finally:
        async with get_client() as api:
            await api.delete_global_concurrency_limit_by_name("longform-host-127.0.0.1")
    assert [each.outcome for each in report.files] == ["transcribed", "transcribed"]
    assert most == 1
    assert {each.outcome for each in again.files} == {"skipped"}
    assert len({each.place for each in report.files}) == 2
