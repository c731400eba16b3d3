"""The flow with speakers: real server and cluster, tiny models, a scripted engine."""

import wave
from pathlib import Path

import pytest

from flows.transcribe import transcribe
from longform.audio import SAMPLE_RATE_HZ
from longform.errors import EnvironmentFaultError
from longform.params import DiarizeParams, TranscribeParams
from tests.flows.conftest import Stage
from tests.support.speaker_models import save_embedding, save_segmentation, two_voices

pytestmark = pytest.mark.server

# Tones are no speech: every sample must reach the engine. It says two words a micro chunk.
PARAMS = TranscribeParams(
    chunking="silence",
    micro_chunk_size_sec=10,
    macro_chunk_size_sec=20,
    diarize=DiarizeParams(enabled=True),
)


@pytest.fixture
def call(tmp_path: Path) -> Path:
    """Return a recording of 40 s in which two voices speak by turns of 5 s."""
    path = tmp_path / "call.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(two_voices(num_turns=8).tobytes())
    return path


async def test_words_get_speakers_over_all_chunks(
    stage: Stage, call: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A label means one voice from the first macro chunk to the last; a rerun runs no model."""
    monkeypatch.setenv("LONGFORM_SEGMENTATION_MODEL", str(save_segmentation(tmp_path / "s.onnx")))
    monkeypatch.setenv("LONGFORM_EMBEDDING_MODEL", str(save_embedding(tmp_path / "e.onnx")))
    first = await transcribe(
        str(call), PARAMS, output_dir=str(tmp_path / "out"), output_formats=("diarized_json",)
    )
    for segment in first.segments:
        middle_sec = (segment.start_time_sec + segment.end_time_sec) / 2
        expected = "SPEAKER_00" if middle_sec % 10 < 5 else "SPEAKER_01"
        assert segment.speaker == expected
        assert {word.speaker for word in segment.words} == {expected}
    assert {segment.speaker for segment in first.segments} == {"SPEAKER_00", "SPEAKER_01"}
    assert [Path(name).name for name in first.files] == ["call.diarized.json"]

    async def nobody(*_: object) -> None:
        raise AssertionError("the turns are in the cache")

    monkeypatch.setattr("longform.speakers.sherpa.SherpaDiarizer.diarize", nobody)
    second = await transcribe(str(call), PARAMS, output_dir=str(tmp_path / "again"))
    assert second.segments == first.segments


async def test_missing_models_end_the_run_at_once(stage: Stage, call: Path, tmp_path: Path) -> None:
    """Nothing is transcribed where the speakers that were asked for cannot be told apart."""
    with pytest.raises(EnvironmentFaultError, match="LONGFORM_SEGMENTATION_MODEL"):
        await transcribe(str(call), PARAMS, output_dir=str(tmp_path / "out"))
    assert stage.engine_calls == []
