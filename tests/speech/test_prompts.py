"""Prompts and translation with the real model, from a file through every stage to the output."""

import wave
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.corpus import decode, read_manifest, utterances
from benchmarks.systems import longform_output
from longform.audio import Pcm
from longform.params import TranscribeParams
from longform.speech.engines import close_engines
from tests.conftest import WELCOME

pytestmark = pytest.mark.model


@pytest.fixture(scope="module", autouse=True)
def engines() -> Iterator[None]:
    """Let the model go when this module is done."""
    yield
    close_engines()


def wav(path: Path, pcm: Pcm) -> Path:
    """Write int16 audio at 16 kHz."""
    with wave.open(str(path), "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(16_000)
        target.writeframes(pcm.astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def asterisk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first seven seconds of the bundled recording, which name the Asterisk PBX."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=16_000)
    with av.open(str(WELCOME)) as container:
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    pcm = np.concatenate([frame.to_ndarray()[0] for frame in frames])[: 7 * 16_000]
    return wav(tmp_path_factory.mktemp("prompts") / "asterisk.wav", pcm)


def said(path: Path, **params: object) -> str:
    """Return the text of a recording."""
    return longform_output(path, TranscribeParams.model_validate(params)).text


@pytest.mark.parametrize(
    "prompt",
    [
        {"hotwords": "ASTERISK, PBX"},
        {"initial_prompt": "Welcome to ASTERISK, the open source P.B.X. telephone engine."},
    ],
    ids=["hotwords", "initial_prompt"],
)
def test_a_prompt_changes_how_names_are_spelled(asterisk: Path, prompt: dict[str, str]) -> None:
    """The same audio, with and without a prompt that writes a name in capitals."""
    assert "Asterisk" in said(asterisk, language="en")
    assert "ASTERISK" in said(asterisk, language="en", **prompt)


@pytest.mark.media
def test_french_is_translated_into_english(tmp_path: Path, media_dir: Path) -> None:
    """The text is English, the language that was detected is French, among those allowed."""
    (french,) = [r for r in read_manifest(media_dir) if r.name == "fleurs_fr.ogg"]
    path = wav(tmp_path / "french.wav", utterances(french)[0].pcm)
    output = longform_output(path, TranscribeParams(task="translate", languages=("en", "fr", "it")))
    assert "accident" in output.text
    assert "the " in output.text.casefold()
    assert output.bcp47_key == "fr"
    assert all((segment.language_probability or 0) > 0.5 for segment in output.segments)


def test_a_wrong_language_is_not_chosen_when_it_is_not_allowed(asterisk: Path) -> None:
    """Of two languages that are not spoken one is taken all the same: the choice is restricted."""
    output = longform_output(asterisk, TranscribeParams(languages=("nl", "it")))
    assert output.bcp47_key in ("nl", "it")


def test_decode_of_the_benchmark_agrees_with_pyav(asterisk: Path) -> None:
    """What the benchmarks read is what was written."""
    with wave.open(str(asterisk)) as source:
        written = np.frombuffer(source.readframes(source.getnframes()), "<i2")
    np.testing.assert_array_equal(decode(asterisk), written)
