"""The chunk store: what was put comes back, and nothing that is damaged ever does."""

import json
import logging
import pickle
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longform.audio import Span
from longform.errors import InvariantError, OutputError
from longform.params import FallbackParams, TranscribeParams, VadParams
from longform.pipeline.chunk_cache import WITHOUT_EFFECT_ON_TEXT, ChunkStore, chunk_key
from longform.pipeline.planning import PlannedChunk
from longform.pipeline.recording_run import RecordingRun
from longform.speech.engine import EngineSpec
from longform.speech.engine_choice import compute_types_of
from longform.storage.records import RecordStore
from longform.transcript.segment import ChunkResult, Interval, Segment, Word
from tests.golden.test_cache_records import RECORDING
from tests.support.s3_server import BUCKET

KEY = "ab" * 32


def result(text: str = " Grüße, 世界", key: str = KEY) -> ChunkResult:
    """Return a small result."""
    word = Word(start_sample=1, end_sample=2, text=text, probability=0.1)
    segment = Segment(start_sample=0, end_sample=9, text=text, language="de", words=(word,))
    return ChunkResult(
        key=key,
        index=3,
        start_sample=0,
        end_sample=9,
        segments=(segment,),
        coverage=(Interval(start_sample=0, end_sample=9, kind="speech"),),
        languages={"de": 1 / 3},
    )


def record_file(folder: Path) -> Path:
    """Return the only record in a store."""
    (path,) = folder.rglob("*.json")
    return path


@pytest.fixture(params=["folder", "file://", "memory://", "s3://"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the root of an empty store of each kind."""
    if request.param == "s3://":
        request.getfixturevalue("s3")
        return f"s3://{BUCKET}/store"
    roots = {
        "folder": str(tmp_path / "store"),
        "file://": (tmp_path / "store").as_uri(),
        "memory://": f"memory://{tmp_path.name}-{id(tmp_path)}/store",
    }
    return roots[request.param]


def test_a_result_comes_back_equal(root: str) -> None:
    """In a folder and behind fsspec URLs, every field survives, floats and text included."""
    store = ChunkStore(root)
    assert store.get(KEY) is None
    store.put(result())
    assert ChunkStore(root).get(KEY) == result()
    assert store.get("cd" * 32) is None


def test_the_last_writer_wins(root: str) -> None:
    """A second put replaces the first."""
    store = ChunkStore(root)
    store.put(result(" first"))
    store.put(result(" second"))
    assert store.get(KEY) == result(" second")


def test_a_flipped_byte_is_a_miss_or_harmless(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """At every position of a record: never another result than the one stored."""
    caplog.set_level(logging.ERROR)
    store = ChunkStore(str(tmp_path))
    store.put(result())
    path = record_file(tmp_path)
    sound = path.read_bytes()
    hits = 0
    for position in range(len(sound)):
        damaged = bytearray(sound)
        damaged[position] ^= (0x01, 0x20, 0x80)[position % 3]
        path.write_bytes(damaged)
        found = store.get(KEY)
        assert found is None or found == result(), position
        hits += found is not None
    assert hits < 10  # only the case of hex digits in JSON's escapes does not matter


@pytest.mark.parametrize("length", [0, 1, 40, 200])
def test_a_truncated_record_is_a_miss_that_heals(tmp_path: Path, length: int) -> None:
    """A record that is cut off reads as missing, and is replaced by the next."""
    store = ChunkStore(str(tmp_path))
    store.put(result())
    path = record_file(tmp_path)
    path.write_bytes(path.read_bytes()[:length])
    assert store.get(KEY) is None
    store.put(result())
    assert store.get(KEY) == result()


@pytest.mark.parametrize(
    "content",
    [
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b'{"checksum": 1, "payload": 2}',
        b"[" * 200_000,
        b"\xff\xfe\x00",
        json.dumps({"checksum": "0" * 64, "payload": "\ud800"}).encode(),
    ],
)
def test_foreign_files_are_a_miss_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    """Whatever else lies in the place of a record is reported and not used."""
    caplog.set_level(logging.WARNING, logger="longform")  # a flow run earlier may have set others
    store = ChunkStore(str(tmp_path))
    store.put(result())
    record_file(tmp_path).write_bytes(content)
    assert store.get(KEY) is None
    assert "damaged cached record" in caplog.text


def test_a_pickle_in_the_store_is_not_executed(tmp_path: Path) -> None:
    """A planted pickle is a damaged record, and its code does not run."""
    marker = tmp_path / "executed"

    class Planted:
        def __reduce__(self) -> tuple[object, ...]:
            return (marker.touch, ())

    store = ChunkStore(str(tmp_path / "store"))
    store.put(result())
    record_file(tmp_path).write_bytes(pickle.dumps(Planted()))
    assert store.get(KEY) is None
    assert not marker.exists()


def test_a_sound_record_of_another_key_or_class_is_a_miss(tmp_path: Path) -> None:
    """Copied to another key, or read as another model, a record is not taken."""
    store, other = ChunkStore(str(tmp_path)), "ab" + "cd" * 31
    store.put(result())
    path = record_file(tmp_path)
    path.with_name(f"{other}.json").write_bytes(path.read_bytes())
    assert store.get(other) is None
    results = RecordStore(str(tmp_path), ChunkResult, "ChunkResult")
    assert results.get(KEY) == result()
    assert results.get(other) is None
    assert RecordStore(str(tmp_path), VadParams, "VadParams").get(KEY) is None


def test_a_record_of_an_older_schema_is_a_miss(tmp_path: Path) -> None:
    """With a sound checksum but fields that are unknown today, a record is not taken."""

    class Older(ChunkResult):
        gone: int = 1

    Older.__name__ = "ChunkResult"
    RecordStore(str(tmp_path), Older, "ChunkResult").put(KEY, Older(**result().model_dump()))
    assert RecordStore(str(tmp_path), Older, "ChunkResult").get(KEY) is not None
    assert ChunkStore(str(tmp_path)).get(KEY) is None


def test_concurrent_writers_and_readers_see_whole_records(tmp_path: Path) -> None:
    """While many write under one key, a reader gets one of the results, never a mixture."""
    store = ChunkStore(str(tmp_path))
    results = [result(f" {number}" * 3_000) for number in range(4)]
    store.put(results[0])

    def write_and_read(number: int) -> bool:
        store.put(results[number % 4])
        return store.get(KEY) in results

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(write_and_read, range(64)))
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".json"]


def test_a_store_that_cannot_be_written_says_so_in_one_line(tmp_path: Path) -> None:
    """The error names the place, the reason and the setting."""
    (tmp_path / "store").write_text("a file in the way")
    store = ChunkStore(str(tmp_path / "store"))
    with pytest.raises(OutputError, match=r"store.*LONGFORM_CHUNK_STORE") as caught:
        store.put(result())
    assert "\n" not in str(caught.value)
    assert store.get(KEY) is None


@pytest.mark.parametrize("key", ["", "../../etc/passwd", KEY.upper(), KEY + "0", f"{KEY}\n"])
def test_a_key_that_is_no_hash_never_becomes_a_path(tmp_path: Path, key: str) -> None:
    """Only 64 hexadecimal digits are a key."""
    with pytest.raises(InvariantError, match="not a cache key"):
        ChunkStore(str(tmp_path)).get(key)


CHUNK = PlannedChunk(index=0, start_sample=0, end_sample=48_000)


def key_of(**changes: object) -> str:
    """Return a key with some of its parts changed."""
    parts: dict[str, object] = {
        "fingerprint": "f",
        "audio_stream": 0,
        "channel": None,
        "span": Span(0, 10),
        "open_ended": False,
        "guards": (0, 0),
        "params": TranscribeParams(),
        "model_sha256": "m",
        "engine_identity": "e",
        "compute_type": "float32",
    }
    return chunk_key(**{**parts, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"fingerprint": "g"},
        {"audio_stream": 1},
        {"channel": 0},
        {"span": Span(0, 11)},
        {"span": Span(1, 10)},
        {"open_ended": True},
        {"guards": (0, 32_000)},
        {"model_sha256": "n"},
        {"engine_identity": "f"},
        {"compute_type": "float16"},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_every_part_of_the_identity_changes_the_key(changes: dict[str, object]) -> None:
    """Two chunks that may differ in text never share a key."""
    assert key_of(**changes) != key_of()


# One other value per parameter. The test below fails when a parameter is added without one.
OTHER_VALUES: dict[str, object] = {
    "macro_chunk_size_sec": 60.0,
    "macro_chunk_overlap_sec": 1.0,
    "micro_chunk_size_sec": 20.0,
    "silence_detection_smoothing_num_samples": 800,
    "split_search_sec": 2.0,
    "chunking": "silence",
    "model": "small",
    "device": "cpu",
    "compute_type": "int8",
    "batch_size": 1,
    "beam_size": 1,
    "language": "de",
    "languages": ("de", "en"),
    "task": "translate",
    "word_timestamps": False,
    "initial_prompt": "Names: Ada.",
    "hotwords": "Ada",
    "audio_stream": 1,
    "on_chunk_failure": "partial",
    "vad": VadParams(threshold=0.4),
    "diarize": {"enabled": True},
    "channels": "split",
    "subtitles": {"max_line_width": 20},
    "fallback": FallbackParams(no_speech_threshold=0.5),
}
CONSTANT = {"wav_sampling_rate_hz"}  # it has one value only


@pytest.mark.parametrize("field", sorted(set(TranscribeParams.model_fields) - CONSTANT))
def test_a_parameter_changes_the_key_unless_it_cannot_change_text(field: str) -> None:
    """Every parameter is in the key, except those on the list."""
    other = TranscribeParams.model_validate({field: OTHER_VALUES[field]})
    assert (key_of(params=other) == key_of()) == (field in WITHOUT_EFFECT_ON_TEXT)


def test_without_a_hash_the_models_name_is_in_the_key() -> None:
    """Engines that do not show their weights are told apart by the model's name."""
    small = TranscribeParams(model="small")
    assert key_of(model_sha256=None, params=small) != key_of(model_sha256=None)


def test_keys_are_equal_in_every_process() -> None:
    """A key does not depend on hash randomisation or on the order of a set."""
    code = (
        "from longform.pipeline.chunk_cache import chunk_key\n"
        "from longform.params import TranscribeParams\n"
        "from longform.audio import Span\n"
        "print(chunk_key(fingerprint='f', audio_stream=0, channel=None,"
        " span=Span(0, 10), open_ended=False,"
        " guards=(0, 0),"
        " params=TranscribeParams(), model_sha256='m', engine_identity='e',"
        " compute_type='float32'))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == key_of()


@given(st.text(max_size=30))
def test_any_text_survives(text: str) -> None:
    """Quotes, controls, separators and emoji come back as they were."""
    store = ChunkStore("memory://any-text")
    encodable = text.encode("utf-8", "replace").decode()
    store.put(result(encodable))
    assert store.get(KEY) == result(encodable)


def run_on(device: str, compute_type: str = "default") -> RecordingRun:
    """Return a run whose workers have that device."""
    params = TranscribeParams(device=device, compute_type=compute_type)
    spec = EngineSpec(device=device, compute_type=compute_type, model_sha256="cd" * 32)
    return RecordingRun("run", RECORDING, params, spec, "chunks")


def test_the_number_type_decides_and_not_the_device() -> None:
    """To name the CPU, or the type that it has by default, recomputes nothing."""
    key = run_on("cpu").key(CHUNK)
    assert run_on("cpu", "float32").key(CHUNK) == key
    assert run_on("auto", "float32").key(CHUNK) == key
    assert run_on("cuda", "float32").key(CHUNK) == key
    assert run_on("cuda").key(CHUNK) != key
    assert run_on("cuda").key(CHUNK) == run_on("auto", "float16").key(CHUNK)


@pytest.fixture
def other_devices() -> Iterator[None]:
    """Let the device of this process change in a test, and be asked for anew behind it."""
    yield
    compute_types_of.cache_clear()


@pytest.mark.usefixtures("other_devices")
def test_a_worker_keeps_a_result_under_what_it_computed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the device is left open, a worker with a GPU does not answer for the CPU's key."""
    job = run_on("auto").job(CHUNK)
    for device in ("cpu", "cuda"):
        monkeypatch.setattr("longform.speech.engine_choice.choose_device", lambda _, d=device: d)
        compute_types_of.cache_clear()
        assert job.computed_here().key == run_on(device).key(CHUNK)
