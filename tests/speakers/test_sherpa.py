"""The sherpa-onnx diarizer, with its real package and tiny models."""

from pathlib import Path

import pytest

from longform.audio import SAMPLE_RATE_HZ
from longform.errors import EngineUnavailableError, EnvironmentFaultError, WeightsError
from longform.params import DiarizeParams
from longform.settings import Settings
from longform.speakers.diarize import load_diarizer
from longform.speakers.sherpa import SherpaDiarizer, require_embedding, window_shift
from longform.speakers.turns import labelled
from tests.support.speaker_models import (
    EMBEDDING,
    SEGMENTATION,
    save_embedding,
    save_segmentation,
    two_voices,
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Return settings that name both tiny models."""
    folder = tmp_path_factory.mktemp("models")
    return Settings(
        segmentation_model=save_segmentation(folder / "segmentation.onnx"),
        embedding_model=save_embedding(folder / "embedding.onnx"),
    )


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of 20 s in which two voices speak by turns."""
    path = tmp_path_factory.mktemp("call") / "audio.s16"
    two_voices().tofile(path)
    return path


async def test_two_voices_are_told_apart(settings: Settings, call: Path) -> None:
    """Four turns of two voices: the labels alternate, and every edge is within 50 ms."""
    found = await load_diarizer(settings).diarize(call, 20 * SAMPLE_RATE_HZ, DiarizeParams())
    turns = labelled(found).turns
    assert [turn.speaker for turn in turns] == ["SPEAKER_00", "SPEAKER_01"] * 2
    for number, turn in enumerate(turns):
        assert abs(turn.start_sample - number * 5 * SAMPLE_RATE_HZ) < 800
        assert abs(turn.end_sample - (number * 5 + 4) * SAMPLE_RATE_HZ) < 800


@pytest.mark.parametrize("params", [{"max_speakers": 1}, {"num_speakers": 1}])
async def test_the_number_of_speakers_is_kept(
    settings: Settings, call: Path, params: dict[str, int]
) -> None:
    """Where fewer speakers are allowed than voices are heard, so many labels are given."""
    found = await load_diarizer(settings).diarize(
        call, 20 * SAMPLE_RATE_HZ, DiarizeParams.model_validate(params)
    )
    assert {speaker for _, speaker in found} == {0}


async def test_no_audio_has_no_turns(settings: Settings, tmp_path: Path) -> None:
    """An empty recording starts no process and has no speakers."""
    assert await load_diarizer(settings).diarize(tmp_path / "none", 0, DiarizeParams()) == []


async def test_a_process_that_ends_is_an_error(settings: Settings, tmp_path: Path) -> None:
    """Where the process fails, the run gets an error that may be tried again, in one line."""
    with pytest.raises(EngineUnavailableError, match="exit code 1") as caught:
        await load_diarizer(settings).diarize(tmp_path / "none", 16_000, DiarizeParams())
    assert "\n" not in str(caught.value)


async def test_the_process_has_a_memory_ceiling(
    settings: Settings, call: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What needs more memory than its audio should is an error, and not the end of the host."""
    monkeypatch.setattr("longform.speakers.sherpa.BASE_MEMORY_BYTES", 2**27)
    with pytest.raises(EngineUnavailableError):
        await load_diarizer(settings).diarize(call, 20 * SAMPLE_RATE_HZ, DiarizeParams())


def test_models_that_are_not_named() -> None:
    """Without models the message names both settings."""
    with pytest.raises(EnvironmentFaultError, match="LONGFORM_SEGMENTATION_MODEL"):
        load_diarizer(Settings(segmentation_model=None, embedding_model=None))


def test_a_package_that_is_not_installed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without sherpa-onnx the message names the extra."""
    monkeypatch.setattr("longform.speakers.sherpa.find_spec", lambda name: None)
    with pytest.raises(EnvironmentFaultError, match=r"longform\[diarize\]"):
        load_diarizer(settings)


def test_models_that_are_wrong(settings: Settings, tmp_path: Path) -> None:
    """A missing file, a text, the other model, another rate or framework: each is named."""
    text = tmp_path / "text.onnx"
    text.write_text("no model")
    slow = save_segmentation(tmp_path / "slow.onnx", SEGMENTATION | {"sample_rate": 8_000})
    foreign = save_embedding(tmp_path / "foreign.onnx", EMBEDDING | {"framework": "own"})
    wrong = {
        tmp_path / "none.onnx": "there is no segmentation model",
        text: "is not an ONNX model",
        settings.embedding_model: "lacks window_size",
        slow: "8000 Hz",
    }
    for path, reason in wrong.items():
        with pytest.raises(WeightsError, match=reason):
            load_diarizer(settings.model_copy(update={"segmentation_model": path}))
    with pytest.raises(WeightsError, match="framework 'own'"):
        require_embedding(foreign)


def test_identity_follows_the_weights(settings: Settings, tmp_path: Path) -> None:
    """Another model has another identity, so that turns of the first are not taken for it."""
    first = SherpaDiarizer.from_settings(settings)
    other = save_embedding(tmp_path / "other.onnx", EMBEDDING | {"comment": "another"})
    second = SherpaDiarizer.from_settings(settings.model_copy(update={"embedding_model": other}))
    assert first.identity != second.identity


def test_long_recordings_have_fewer_windows() -> None:
    """Up to two hours windows overlap as they were trained; a day still makes at most 8640."""
    hour = 3_600 * SAMPLE_RATE_HZ
    assert window_shift(2 * hour) == 0.1
    for hours in (3, 10, 24):
        windows = hours * 360 / window_shift(hours * hour)
        assert windows <= 8_640
