"""Keys and bytes of the cache, as literals: what earlier versions have stored is still found.

A value that changes here voids the cache of every user. Where that is meant, the version constant
beside the key is raised, and the new value is written here.
"""

from hashlib import sha256
from pathlib import Path

import pytest

from longform.audio import Span
from longform.chunking.macro import Split
from longform.media.model import Media, Recording, Source
from longform.net.policy import SourcePolicy
from longform.params import DiarizeParams, FrozenModel, TranscribeParams
from longform.pipeline.chunk_cache import ChunkStore, chunk_key
from longform.pipeline.chunk_claims import DEATHS, ChunkDeaths
from longform.pipeline.planning import Plan, PlannedChunk, plan_key
from longform.pipeline.recording_run import plan_store
from longform.speakers.diarize import speakers_key
from longform.speakers.turns import SpeakerTurns, Turn
from longform.storage.records import RecordStore
from longform.transcript.segment import ChunkResult, ChunkStats, Interval, Segment, Word

KEY = "0123456789abcdef" * 4
OLD_STORE = Path(__file__).parent / "old_store"  # as the code wrote it before kinds were named

RECORDING = Recording(
    source=Source(
        url="/media/talk.wav",
        shown="/media/talk.wav",
        name="talk.wav",
        length_bytes=1_000_000,
        fingerprint="ab" * 32,
    ),
    media=Media(
        container="wav",
        codec="pcm_s16le",
        sample_rate_hz=16_000,
        channels=1,
        audio_stream=0,
        duration_sec=31.25,
        num_samples_estimate=500_000,
        has_video=False,
        access="windowed",
        access_reason="an index",
    ),
    policy=SourcePolicy(),
    ffmpeg=None,
)

RESULT = ChunkResult(
    key=KEY,
    index=1,
    start_sample=0,
    end_sample=48_000,
    segments=(
        Segment(
            start_sample=160,
            end_sample=32_000,
            text=" Good morning.",
            language="en",
            words=(
                Word(start_sample=160, end_sample=8_000, text=" Good", probability=0.5),
                Word(start_sample=8_000, end_sample=32_000, text=" morning."),
            ),
            tokens=(2, 7),
            avg_logprob=-0.25,
        ),
    ),
    coverage=(
        Interval(start_sample=0, end_sample=32_000, kind="speech"),
        Interval(start_sample=32_000, end_sample=48_000, kind="non_speech"),
    ),
    languages={"en": 2.0},
    peaks=b"\x00\x7f\xff",
    stats=ChunkStats(worker="host:1", processing_sec=1.5),
)
PLAN = Plan(
    access="windowed",
    chunks=(
        PlannedChunk(
            index=0,
            start_sample=0,
            end_sample=300_000,
            split=Split(sample=300_000, kind="pause", is_silent=True),
        ),
        PlannedChunk(index=1, start_sample=300_000, end_sample=500_000, open_ended=True),
    ),
)
TURNS = SpeakerTurns(turns=(Turn(start_sample=0, end_sample=16_000, speaker="SPEAKER_00"),))
DIED = ChunkDeaths(workers=("host:1", "host:2"))


def stored(root: Path, folder: str) -> bytes:
    """Return the one record below a folder of a chunk store."""
    return (root / folder / KEY[:2] / f"{KEY}.json").read_bytes()


def put_all(root: Path) -> None:
    """Store one record of each kind, as the product does."""
    ChunkStore(str(root)).put(RESULT)
    plan_store(str(root)).put(KEY, PLAN)
    RecordStore(f"{root}/speakers", SpeakerTurns, "SpeakerTurns").put(KEY, TURNS)
    RecordStore(f"{root}/{DEATHS}", ChunkDeaths, "ChunkDeaths").put(KEY, DIED)


@pytest.mark.parametrize(
    ("params", "options", "key"),
    [
        (
            TranscribeParams(),
            {},
            "a4f7470588268ff42840c60f242a5dc9146792c382c91a94106add1837c40afb",
        ),
        (
            TranscribeParams(language="de", beam_size=1, macro_chunk_size_sec=60),
            {"channel": 2, "open_ended": True, "guards": (8_000, 0)},
            "a2051b729ab157a70333c72ec133bbb0dc0a8e25c5f49db55d52717aaebf15fb",
        ),
        (
            TranscribeParams(model="tiny"),
            {"model_sha256": None},
            "2551db5f14e83cfc11e933a0bbc0f9fedd1d03ae8eff638bb9d827afe1816fd3",
        ),
    ],
)
def test_the_key_of_a_chunk(params: TranscribeParams, options: dict[str, object], key: str) -> None:
    """A chunk that an earlier version has transcribed is found under the same key."""
    known: dict[str, object] = {
        "fingerprint": "ab" * 32,
        "audio_stream": 0,
        "channel": None,
        "span": Span(0, 48_000),
        "open_ended": False,
        "guards": (0, 0),
        "model_sha256": "cd" * 32,
        "compute_type": "float32",
        "engine_identity": "faster_whisper, faster-whisper 1.2.1, ctranslate2 4.8.5, decoder 5",
    }
    assert chunk_key(params=params, **(known | options)) == key  # type: ignore[arg-type]


def test_the_keys_of_plans_and_speakers() -> None:
    """So are the plan of a recording, and who speaks in it."""
    assert (
        plan_key(RECORDING, TranscribeParams())
        == "f827e71d5f08a7643b846f57248e0a0f107a3845c9e69eeab99f80f407546405"
    )
    assert (
        speakers_key(RECORDING, DiarizeParams(enabled=True), "sherpa 1")
        == "b308248d628b63e2a78f9982d3996fca1c22570f0379de2ea8d0c280c9202714"
    )


@pytest.mark.parametrize(
    ("folder", "digest"),
    [
        ("", "3c10cbf868386dd252d80a22db7ee8af3269d9bd73dfc4f43922a6e8894f5f27"),
        ("plans", "3134488687f787b2d3202cf074d63ee96cfe85db76191cf86f476637dc00befd"),
        ("speakers", "caf32dc0e149e9a24c1554170d06437494312825fffffb2aa6d6cd80aed914ae"),
        ("deaths", "745fe6830d013dc32be7b944459ba8cf963bc1ab87e257a2bbc854bbfae10df3"),
    ],
)
def test_the_bytes_of_a_record(tmp_path: Path, folder: str, digest: str) -> None:
    """Every kind of record lies where it always lay, byte for byte."""
    put_all(tmp_path)
    assert sha256(stored(tmp_path, folder)).hexdigest() == digest


@pytest.mark.parametrize(
    ("folder", "record"), [("", RESULT), ("plans", PLAN), ("speakers", TURNS), ("deaths", DIED)]
)
def test_a_renamed_class_reads_what_the_old_one_wrote(
    tmp_path: Path, folder: str, record: FrozenModel
) -> None:
    """The kind of a record is no class name, so a class may be renamed."""
    put_all(tmp_path)
    kind = type(record).__name__  # as it was when the kinds were named
    renamed = type("Renamed", (type(record),), {})
    found = RecordStore(str(tmp_path / folder), renamed, kind).get(KEY)
    assert found is not None
    assert found.model_dump() == record.model_dump()


def test_the_store_of_an_earlier_version_is_read() -> None:
    """Files that the code before this layout has written are read as what was stored."""
    root = str(OLD_STORE)
    assert ChunkStore(root).get(KEY) == RESULT
    assert plan_store(root).get(KEY) == PLAN
    assert RecordStore(f"{root}/speakers", SpeakerTurns, "SpeakerTurns").get(KEY) == TURNS
    assert RecordStore(f"{root}/{DEATHS}", ChunkDeaths, "ChunkDeaths").get(KEY) == DIED
