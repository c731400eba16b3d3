"""`longform transcribe` for real: the real model, a real server, a real cluster."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jiwer
import pytest

from longform.media.decode.ffmpeg_args import find_ffmpeg
from longform.params import TranscribeParams
from longform.pipeline.planning import make_plan, open_recording
from longform.pipeline.recording_run import RecordingRun
from longform.pipeline.transcribe_chunk import transcribe_macro_chunk
from longform.settings import Settings
from longform.speech.engine_choice import choose_engine, worker_engine
from longform.speech.engines import close_engines
from longform.transcript.channels import ChannelChunks
from longform.transcript.output import TranscribeOutput
from tests.cli.conftest import Run as Command
from tests.conftest import WELCOME
from tests.support.model_service import KEY, service_process

NORMALISE = jiwer.Compose(
    [jiwer.ToLowerCase(), jiwer.RemovePunctuation(), jiwer.ReduceToListOfListOfWords()]
)


@pytest.mark.model
@pytest.mark.server
def test_two_recordings_one_of_them_known(longform_with_server: Command, tmp_path: Path) -> None:
    """stdout holds results alone, the text is what was said, a copy comes from the cache."""
    shutil.copyfile(WELCOME, tmp_path / "again.flac")
    done = longform_with_server("transcribe", WELCOME, "again.flac", "--json", "-o", "out")
    assert done.returncode == 0, done.stderr
    first, second = map(json.loads, done.stdout.splitlines())
    assert [s["text"] for s in first["segments"]] == [s["text"] for s in second["segments"]]
    assert "1 cached" in done.stderr
    assert first["input_duration_sec"] == pytest.approx(135.63, abs=0.01)
    assert first["bcp47_key"] == "en"
    said = WELCOME.with_suffix(".txt").read_text().replace("\n", " ")
    heard = " ".join(segment["text"] for segment in first["segments"])
    rate = jiwer.wer(said, heard, reference_transform=NORMALISE, hypothesis_transform=NORMALISE)
    assert rate < 0.15
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        f"{stem}.{suffix}"
        for stem in ("welcome", "again")
        for suffix in ("json", "srt", "vtt", "txt", "tsv", "html")
    }
    # Another machine has no records of them, but the server knows.
    listed = longform_with_server("runs", "--json", LONGFORM_HOME=str(tmp_path / "other"))
    runs = [json.loads(line) for line in listed.stdout.splitlines()]
    assert {("welcome.flac", "complete"), ("again.flac", "complete")} <= {
        (run["source_name"], run["state"]) for run in runs
    }
    assert first["run_url"] in {run["run_url"] for run in runs}


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Return 45 s of the bundled recording: several micro chunks, and not too much work."""
    path = tmp_path / "clip.flac"
    command = [find_ffmpeg(None), "-v", "error", "-i", WELCOME, "-t", "45", path]
    subprocess.run(command, check=True)
    return path


async def heard_here(clip: Path, home: Path) -> TranscribeOutput:
    """Return the transcript of the model in this process."""
    # Threads of a model wait for each other: on a busy machine one is faster than two.
    settings, params = Settings(home=home, cpu_threads=1), TranscribeParams()
    recording = await open_recording(str(clip), settings, home)
    run = RecordingRun("", recording, params, choose_engine(params, settings), str(home / "chunks"))
    batcher = worker_engine(run.engine, settings)
    try:
        jobs = [run.job(chunk) for chunk in (await make_plan(recording, params)).chunks]
        results = [await transcribe_macro_chunk(job, batcher, lambda _: None) for job in jobs]
    finally:
        close_engines()
    return run.transcript([ChannelChunks(None, tuple(results))], (), 1.0)


def leaves(document: Any) -> Iterator[Any]:
    """Return the names and values of a JSON document, in order."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield name
            yield from leaves(value)
    elif isinstance(document, list):
        for value in document:
            yield from leaves(value)
    else:
        yield document


@pytest.mark.model
@pytest.mark.server
async def test_a_model_elsewhere_gives_the_same_transcript(
    longform_with_server: Command, tmp_path: Path, clip: Path
) -> None:
    """Through a model service, text, words, times and scores are those of the model here."""
    here = (await heard_here(clip, tmp_path)).model_dump(mode="json")
    with service_process(tmp_path, LONGFORM_CPU_THREADS="1") as (service, _):
        options = ("--json", "-o", "there", "--engine", "remote", "--engine-url", service.url)
        done = longform_with_server("transcribe", clip, *options, LONGFORM_ENGINE_API_KEY=KEY)
        assert done.returncode == 0, done.stderr
        assert service.metric("longform_requests_total", endpoint="transcriptions") > 1
    there = json.loads(done.stdout)
    # What shares a batch changes the last digits of a score.
    assert list(leaves(there["segments"])) == [
        pytest.approx(value, abs=1e-3) if isinstance(value, float) else value
        for value in leaves(here["segments"])
    ]
    assert len(there["segments"]) > 3
    assert all(segment["words"] for segment in there["segments"])
    assert there["coverage"] == here["coverage"]
    told = there["provenance"]
    assert told["model_sha256"] == here["provenance"]["model_sha256"]
    assert told["engine"].startswith("remote, faster_whisper, ")
    written = b"".join(path.read_bytes() for path in (tmp_path / "there").iterdir())
    assert service.url.encode() not in written
    assert KEY.encode() not in written
