"""A call with a party on each side, by the real model: each side's words are on its channel."""

import subprocess
from pathlib import Path

import jiwer
import pytest
from whisper_normalizer.english import EnglishTextNormalizer

from longform.media.decode.ffmpeg_args import find_ffmpeg
from longform.params import TranscribeParams
from longform.pipeline.planning import make_plan, open_recording
from longform.pipeline.recording_run import RecordingRun
from longform.pipeline.transcribe_chunk import transcribe_macro_chunk
from longform.settings import Settings
from longform.speech.engine import EngineSpec
from longform.speech.engines import close_engines, loaded_engine
from longform.transcript.channels import ChannelChunks

pytestmark = [pytest.mark.media, pytest.mark.model]

LEFT_SAYS = (
    "And so, my fellow Americans, ask not what your country can do for you, ask what you can do "
    "for your country."
)
RIGHT_SAYS = "Look in thy glass and tell the face"


def call_of(left: Path, right: Path, path: Path) -> Path:
    """Write a stereo call in which the right side begins while the left one speaks."""
    sides = (
        "[0:a]aresample=16000,aformat=channel_layouts=mono,apad=whole_dur=14[l];"
        "[1:a]atrim=0:9,aresample=16000,aformat=channel_layouts=mono,adelay=3000,"
        "apad=whole_dur=14[r];"
    )
    graph = f"{sides}[l][r]join=inputs=2:channel_layout=stereo"
    command = [find_ffmpeg(), "-v", "error", "-i", left, "-i", right, "-filter_complex", graph]
    subprocess.run([*command, "-c:a", "pcm_s16le", path], check=True)
    return path


async def test_each_side_has_its_own_words(media_dir: Path, tmp_path: Path) -> None:
    """Two people who talk at the same time are heard each on their own side, and nowhere else."""
    call = call_of(media_dir / "jfk.flac", media_dir / "sonnet3.mp3", tmp_path / "call.wav")
    recording = await open_recording(str(call), Settings(), tmp_path)
    params = TranscribeParams(channels="split", language="en", beam_size=1)
    spec = EngineSpec(device="cpu", cpu_threads=1)
    run = RecordingRun("test", recording, params, spec, str(tmp_path / "chunks"))
    batcher = loaded_engine(spec, tmp_path)
    try:
        parts = []
        for side in run.by_channel():
            plan = await make_plan(side.recording, params)
            results = [
                await transcribe_macro_chunk(side.job(chunk), batcher, lambda event: None)
                for chunk in plan.chunks
            ]
            parts.append(ChannelChunks(side.channel, tuple(results)))
    finally:
        close_engines()
    output = run.transcript(parts, (), 1.0)
    plain = EnglishTextNormalizer()
    left, right = (
        plain("".join(one.text for one in output.segments if one.channel == number))
        for number in (1, 2)
    )
    assert jiwer.wer(plain(LEFT_SAYS), left) < 0.1
    assert plain(RIGHT_SAYS) in right
    assert "country" not in right
    assert "glass" not in left
    first_on_right = next(one for one in output.segments if one.channel == 2)
    assert first_on_right.start_time_sec < 11  # while the left side is still speaking
