"""`longform transcribe` for real: the real model, a real server, a real cluster."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jiwer
import pytest

from longform.media.decoder import find_ffmpeg
from tests.cli.conftest import Run
from tests.conftest import WELCOME
from tests.support.model_service import KEY, service_process

NORMALISE = jiwer.Compose(
    [jiwer.ToLowerCase(), jiwer.RemovePunctuation(), jiwer.ReduceToListOfListOfWords()]
)


@pytest.mark.model
@pytest.mark.server
def test_two_recordings_one_of_them_known(longform_with_server: Run, tmp_path: Path) -> None:
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


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Return 45 s of the bundled recording: several micro chunks, and not too much work."""
    path = tmp_path / "clip.flac"
    command = [find_ffmpeg(None), "-v", "error", "-i", WELCOME, "-t", "45", path]
    subprocess.run(command, check=True)
    return path


@pytest.mark.model
@pytest.mark.server
def test_a_model_elsewhere_gives_the_same_transcript(
    longform_with_server: Run, tmp_path: Path, clip: Path
) -> None:
    """Through a model service, text, words, times and scores are those of the model here."""
    # Threads of a model wait for each other: on a busy machine one is faster than two.
    alone = {"LONGFORM_CPU_THREADS": "1"}
    here = transcribed(longform_with_server("transcribe", clip, "--json", "-o", "here", **alone))
    with service_process(tmp_path, **alone) as (service, _):
        environment = {"LONGFORM_ENGINE_API_KEY": KEY, "LONGFORM_CHUNK_STORE": str(tmp_path / "c")}
        options = ("--json", "-o", "there", "--engine", "remote", "--engine-url", service.url)
        there = transcribed(longform_with_server("transcribe", clip, *options, **environment))
        assert service.metric("longform_requests_total", endpoint="transcriptions") > 1
    assert there["segments"] == here["segments"]
    assert len(there["segments"]) > 3
    assert all(segment["words"] for segment in there["segments"])
    assert there["coverage"] == here["coverage"]
    told = there["provenance"]
    assert told["model_sha256"] == here["provenance"]["model_sha256"]
    assert told["engine"].startswith("remote, faster_whisper, ")
    written = b"".join(path.read_bytes() for path in (tmp_path / "there").iterdir())
    assert service.url.encode() not in written
    assert KEY.encode() not in written


def transcribed(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    """Return the result that the command has printed."""
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found
