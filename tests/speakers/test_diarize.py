"""The stage `diarize`: decoding, the cache, and labels over the whole recording."""

import asyncio
import os
import wave
from pathlib import Path

import pytest

from longform.audio import SAMPLE_RATE_HZ, Span
from longform.params import DiarizeParams
from longform.pipeline.planning import open_recording
from longform.settings import Settings
from longform.speakers.diarize import find_speakers
from tests.support.speaker_models import two_voices


class CountingDiarizer:
    """Says that one voice speaks all the time, and counts how often it is asked."""

    identity = "counting 1"

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def diarize(
        self, audio: Path, num_samples: int, params: DiarizeParams
    ) -> list[tuple[Span, int]]:
        """Return one turn over the audio, whose length it checks."""
        assert len(await asyncio.to_thread(audio.read_bytes)) == 2 * num_samples
        self.asked.append(num_samples)
        return [(Span(0, num_samples), 5)]


@pytest.fixture
def call(tmp_path: Path) -> Path:
    """Return a wav file of 20 s."""
    path = tmp_path / "call.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(two_voices().tobytes())
    return path


async def test_turns_are_found_once(call: Path, tmp_path: Path) -> None:
    """A second run takes the turns from the cache; other numbers of speakers are found anew."""
    recording = await open_recording(str(call), Settings(), tmp_path)
    diarizer, places = CountingDiarizer(), (str(tmp_path / "store"), tmp_path)
    first = await find_speakers(recording, DiarizeParams(), diarizer, *places)
    assert await find_speakers(recording, DiarizeParams(), diarizer, *places) == first
    assert [turn.speaker for turn in first.turns] == ["SPEAKER_00"]
    assert diarizer.asked == [20 * SAMPLE_RATE_HZ]
    await find_speakers(recording, DiarizeParams(num_speakers=2), diarizer, *places)
    await find_speakers(recording, DiarizeParams(), diarizer, *places, use_cache=False)
    assert len(diarizer.asked) == 3


async def test_no_audio_is_left_behind(call: Path, tmp_path: Path) -> None:
    """The decoded audio is removed when the turns are known."""
    recording = await open_recording(str(call), Settings(), tmp_path)
    places = (str(tmp_path / "store"), tmp_path)
    await find_speakers(recording, DiarizeParams(), CountingDiarizer(), *places)
    assert not [name for name in os.listdir(tmp_path) if name.startswith("speakers-")]  # noqa: PTH208
