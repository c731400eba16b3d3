"""Records of runs: however a run ends, its record says so, and holds no secret."""

import asyncio
from pathlib import Path

import pytest

from longform.errors import SourceMissingError
from longform.runs import history
from longform.runs.history import read_records, recorded_run, records_folder
from longform.storage.temp_files import temp_name
from tests.support.transcripts import output_of, segment_of

SIGNED = "https://me:HUSH@example.org/talk.mp3?sig=HUSH"
OUTPUT = output_of([segment_of(" so it was", 0, 8), segment_of(" oui", 8, 10, "fr")])


async def test_a_run_that_ends_well(tmp_path: Path) -> None:
    """While it runs it is running; at the end its figures and files are there."""
    async with recorded_run(tmp_path, "id-1", "transcribe", SIGNED, "http://host/run") as recorder:
        (record,) = read_records(tmp_path)
        assert (record.state, record.files) == ("running", ())
        recorder.finish(OUTPUT.model_copy(update={"files": ("/out/talk.json",)}))
    (record,) = read_records(tmp_path)
    assert (record.state, record.source_name) == ("complete", "talk.mp3")
    assert record.files == ("/out/talk.json",)
    assert record.figures is not None
    assert (record.figures.num_words, record.figures.languages) == (4, ("english", "french"))
    assert "HUSH" not in "".join(p.read_text() for p in records_folder(tmp_path).iterdir())


@pytest.mark.parametrize(
    ("error", "state", "told"),
    [
        (SourceMissingError("there is no talk.mp3"), "failed", "there is no talk.mp3"),
        (ValueError("HUSH"), "failed", "ValueError"),  # whose message may hold anything
        (asyncio.CancelledError(), "stopped", ""),
    ],
)
async def test_a_run_that_does_not(
    tmp_path: Path, error: BaseException, state: str, told: str
) -> None:
    """What ended it is noted and goes on its way."""
    with pytest.raises(type(error)):
        async with recorded_run(tmp_path, "id-1", "transcribe", SIGNED, ""):
            raise error
    (record,) = read_records(tmp_path)
    assert (record.state, record.error) == (state, told)
    assert record.ended_at_unix_sec is not None


async def test_a_process_that_is_gone_was_killed(tmp_path: Path) -> None:
    """A run of this machine that says it is running, and whose process is not there, is not."""
    async with recorded_run(tmp_path, "id-1", "transcribe", SIGNED, "") as recorder:
        for changes, state in (
            ({"process_start": "before the boot"}, "killed"),
            ({"machine": "another"}, "running"),
        ):
            recorder.update(**changes)
            assert [record.state for record in read_records(tmp_path)] == [state]


async def test_what_a_killed_process_was_writing_goes(tmp_path: Path) -> None:
    """Half a record of a dead process is removed by the next run, and is never listed."""
    folder = records_folder(tmp_path)
    async with recorded_run(tmp_path, "id-1", "transcribe", SIGNED, ""):
        [path] = folder.iterdir()
        *writer, _, _, number = temp_name(path.name).split("-")
        left = folder / "-".join((*writer, str(2**22 + 1), "1", number))
        left.write_text("{")
        assert len(read_records(tmp_path)) == 1
    async with recorded_run(tmp_path, "id-2", "transcribe", SIGNED, ""):
        assert not left.exists()


async def test_a_home_that_cannot_be_written_fails_no_run(tmp_path: Path) -> None:
    """Records are a service: without them there is a transcript all the same."""
    home = tmp_path / "file"
    home.touch()
    async with recorded_run(home, "id-1", "transcribe", SIGNED, "") as recorder:
        recorder.finish(OUTPUT)
    assert read_records(home) == []


async def test_the_newest_come_first_and_the_oldest_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder does not grow for ever, and what is no record of ours is passed over."""
    monkeypatch.setattr(history, "MAX_RECORDS", 2)
    for number in range(4):
        monkeypatch.setattr(history.time, "time", lambda number=number: 1e9 + number)
        async with recorded_run(tmp_path, f"id-{number}", "transcribe", "a.mp3", "") as recorder:
            recorder.finish(OUTPUT)
    (records_folder(tmp_path) / "000000000000-x.json").write_text('{"of": "another version"}')
    assert [record.run_id for record in read_records(tmp_path)] == ["id-3", "id-2"]
