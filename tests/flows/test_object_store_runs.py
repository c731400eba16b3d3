"""The flow from an object store to an object store, its own stores in there as well."""

import json
import threading
from pathlib import Path

import pytest

from flows.transcribe import transcribe
from longform.errors import SourceChangedError
from longform.params import TranscribeParams
from longform.transcript.output import TranscribeOutput
from tests.conftest import WELCOME
from tests.flows.conftest import Stage
from tests.support.s3_server import BUCKET, S3Server

pytestmark = pytest.mark.server

PARAMS = TranscribeParams(macro_chunk_size_sec=30)
ROOT = f"s3://{BUCKET}"


@pytest.fixture
def in_s3(stage: Stage, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """Put the chunk store and the work store into the bucket."""
    monkeypatch.setenv("LONGFORM_CHUNK_STORE", f"{ROOT}/chunks")
    monkeypatch.setenv("LONGFORM_WORK_STORE", f"{ROOT}/work")
    return s3


def text_of(output: TranscribeOutput) -> list[tuple[float, float, str]]:
    """Return what must be equal where two transcripts are."""
    return [(s.start_time_sec, s.end_time_sec, s.text) for s in output.segments]


async def test_from_s3_to_s3(in_s3: S3Server, stage: Stage, tmp_path: Path) -> None:
    """Windowed: the text is the local file's, results lie in the bucket, a rerun finds them."""
    address = in_s3.put("in/welcome.flac", WELCOME)
    output = await transcribe(address, PARAMS, output_dir=f"{ROOT}/out")
    assert output.provenance.access == "windowed"
    assert output.provenance.source_address == address
    assert {name.rpartition("/")[2] for name in output.files} >= {
        f"welcome.{suffix}" for suffix in ("json", "srt", "vtt", "txt", "tsv")
    }
    assert json.loads(in_s3.read("out/welcome.json"))["segments"]
    assert not in_s3.names("work/")
    assert len(in_s3.names("chunks/")) == 5 + 1  # the chunks of 135 s, and the plan
    stage.direct()
    in_s3.put("in/copy.flac", WELCOME)
    again = await transcribe(f"{ROOT}/in/copy.flac", PARAMS, output_dir=f"{ROOT}/out")
    assert stage.engine_calls == []
    local = await transcribe(
        str(WELCOME), PARAMS, output_dir=str(tmp_path / "out"), use_cache=False
    )
    assert text_of(output) == text_of(again) == text_of(local)


async def test_one_pass_through_a_work_store_in_s3(
    in_s3: S3Server, tmp_path: Path, matroska: Path
) -> None:
    """Sequential: the audio goes through the bucket to the workers, and nothing stays of it."""
    address = in_s3.put("in/welcome.mkv", matroska)
    in_s3.requests.clear()
    output = await transcribe(address, PARAMS, output_dir=f"{ROOT}/out")
    assert output.provenance.access == "sequential"
    spooled = {p for method, p, _ in in_s3.requests if method in ("PUT", "POST") and "/work/" in p}
    assert len(spooled) >= 5
    assert not in_s3.names("work/")
    local = await transcribe(str(matroska), PARAMS, output_dir=str(tmp_path / "o"), use_cache=False)
    assert text_of(output) == text_of(local)


async def test_an_object_that_is_replaced_in_mid_run(in_s3: S3Server, stage: Stage) -> None:
    """A run whose source is replaced under it ends with the reason, and writes no transcript."""
    address = in_s3.put("in/welcome.flac", WELCOME)
    other = bytearray(WELCOME.read_bytes())
    other[-1] ^= 1
    opened = threading.Event()

    def replace(number: int) -> None:
        if number > 20 and not opened.is_set():  # 16 samples and the header came before
            opened.set()
            in_s3.put("in/welcome.flac", bytes(other))

    in_s3.requests.clear()
    in_s3.habits.before_get = replace
    with pytest.raises(SourceChangedError, match="start again"):
        await transcribe(address, PARAMS, output_dir=f"{ROOT}/out")
    assert opened.is_set()
    assert not in_s3.names("out/")
