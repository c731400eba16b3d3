"""A stereo call through the flow, each side on its own."""

import subprocess
from pathlib import Path

import pytest

from flows.transcribe import transcribe
from longform.audio import Span, require_tiling, to_samples
from longform.errors import IncompleteTranscriptError
from longform.media.decode.ffmpeg_args import find_ffmpeg
from longform.params import TranscribeParams
from longform.transcript.formats import FORMATS
from longform.transcript.formats.rendering import Rendering
from longform.transcript.output import TranscribeOutput
from tests.conftest import WELCOME
from tests.flows.conftest import Stage

pytestmark = pytest.mark.server

PARAMS = TranscribeParams(macro_chunk_size_sec=20, channels="split")


async def run(media: Path, out: Path, params: TranscribeParams = PARAMS) -> TranscribeOutput:
    """Run the flow."""
    return await transcribe(str(media), params, output_dir=str(out))


@pytest.fixture(params=["wav", "mkv"])
def call(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a call: on the left the first 40 s of the recording, on the right the next 40 s."""
    path = tmp_path / f"call.{request.param}"
    left = "[0:a]atrim=0:40,aresample=16000[l];"
    right = "[0:a]atrim=40:80,aresample=16000,asetpts=PTS-STARTPTS[r];"
    graph = f"{left}{right}[l][r]join=inputs=2:channel_layout=stereo"
    command = [find_ffmpeg(), "-v", "error", "-i", WELCOME, "-filter_complex", graph]
    subprocess.run([*command, "-c:a", "pcm_s16le", path], check=True)
    return path


def side(call: Path, channel: str) -> Path:
    """Return one side of a call as a mono recording."""
    path = call.with_name(f"{channel}{call.suffix}")
    command = [find_ffmpeg(), "-v", "error", "-i", call, "-af", f"pan=mono|c0={channel}"]
    subprocess.run([*command, "-c:a", "pcm_s16le", path], check=True)
    return path


def said(output: TranscribeOutput, channel: int | None = None) -> list[tuple[float, float, str]]:
    """Return what was said in a channel, and when."""
    return [
        (one.start_time_sec, one.end_time_sec, one.text)
        for one in output.segments
        if one.channel == channel
    ]


async def test_each_side_is_what_it_is_alone(stage: Stage, call: Path, tmp_path: Path) -> None:
    """Both sides say what they say as recordings of their own; a rerun calls no engine."""
    output = await run(call, tmp_path / "out")
    for number, name in ((1, "c0"), (2, "c1")):
        alone = await run(side(call, name), tmp_path / name)
        assert said(output, number) == said(alone) != []
        assert any("one channel" in warning for warning in alone.warnings)
        own = [part.span for part in output.coverage if part.channel == number]
        require_tiling(own, Span(0, to_samples(output.input_duration_sec)))
    starts = [one.start_time_sec for one in output.segments]
    assert starts == sorted(starts)
    assert "[channel 2]: " in FORMATS["srt"].render(Rendering(output))
    stage.direct()
    assert said(await run(call, tmp_path / "again"), 2) == said(output, 2)
    assert stage.engine_calls == []


@pytest.mark.parametrize("call", ["wav"], indirect=True)
async def test_one_side_fails_alone(stage: Stage, call: Path, tmp_path: Path) -> None:
    """A chunk that fails on one side is named with its channel; the other side is whole."""
    whole = await run(call, tmp_path / "a")
    starts = [start for batch in stage.engine_calls for start in batch]
    alone = next(start for start in sorted(starts) if starts.count(start) == 1)
    stage.direct(fail_first={str(alone): 99}, error="InvariantError")
    (tmp_path / "chunks").rename(tmp_path / "forgotten")
    with pytest.raises(IncompleteTranscriptError, match=r"channel \d 0:") as raised:
        await run(call, tmp_path / "b")
    partial = raised.value.output
    assert isinstance(partial, TranscribeOutput)
    failed = {part.channel for part in partial.coverage if part.kind == "failed"}
    assert len(failed) == 1
    intact = ({1, 2} - failed).pop()
    assert said(partial, intact) == said(whole, intact)
