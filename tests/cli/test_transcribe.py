"""`longform transcribe` for real: the real model, a real server, a real cluster."""

import json
import shutil
from pathlib import Path

import jiwer
import pytest

from tests.cli.conftest import Run
from tests.conftest import WELCOME

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
