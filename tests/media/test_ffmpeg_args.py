"""ffmpeg's arguments, and how its run is ended and reported."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from longform.audio import Span
from longform.errors import EnvironmentFaultError
from longform.media.decode.ffmpeg_args import (
    ALLOWED_DEMUXERS,
    find_ffmpeg,
    whole_command,
    window_command,
)
from longform.media.decode.ffmpeg_process import Decoding
from longform.media.decode.sandbox import StalledError, Watchdog, child
from longform.media.model import Media


def test_the_allowed_demuxers_exist(ffmpeg_binary: str) -> None:
    """A name that ffmpeg does not know would be silently refused."""
    listing = subprocess.run(
        [ffmpeg_binary, "-hide_banner", "-demuxers"], capture_output=True, text=True, check=True
    )
    fields = (line.split() for line in listing.stdout.splitlines() if line.startswith(" D"))
    known = {name for field in fields for name in field[1].split(",")}
    assert set(ALLOWED_DEMUXERS) <= known


@pytest.mark.parametrize(
    "demuxer", ["hls", "dash", "concat", "sdp", "rtsp", "imf", "lavfi", "image2", "tty"]
)
def test_demuxers_that_open_other_things_are_not_allowed(demuxer: str) -> None:
    """Nothing that follows references is on the list."""
    assert demuxer not in ALLOWED_DEMUXERS


MEDIA = Media(
    container="wav",
    codec="pcm_s16le",
    sample_rate_hz=16_000,
    channels=1,
    audio_stream=2,
    duration_sec=1.0,
    num_samples_estimate=16_000,
    has_video=False,
    access="windowed",
    access_reason="made up",
)


def _value(command: list[str], option: str) -> str:
    return command[command.index(option) + 1]


def test_a_command_has_its_guards_before_the_input() -> None:
    """White lists come before the input, and only audio is mapped."""
    command = whole_command("ffmpeg", "http://127.0.0.1:1/x/", MEDIA, 60.0)
    source = command.index("-i")
    assert command.index("-protocol_whitelist") < source
    assert command.index("-format_whitelist") < source
    assert _value(command, "-protocol_whitelist") == "http,tcp"
    assert _value(command, "-map") == "0:a:2"
    assert {"-vn", "-sn", "-dn", "-nostdin"} <= set(command)


@pytest.mark.parametrize(
    ("start", "seek", "cut"),
    [
        (0, None, "0.0000000"),
        (63_999, None, "3.9999375"),
        (64_000, "1", "3.0000000"),
        (1_600_007, "97", "3.0004375"),
    ],
)
def test_windows_seek_to_whole_seconds_and_cut_by_sample(
    start: int, seek: str | None, cut: str
) -> None:
    """The seek is to a whole second three early; the cut is exact to the sample."""
    span = Span(start, start + 16_001)
    command = window_command("ffmpeg", "u", MEDIA, span, open_ended=False)
    before, after = command[: command.index("-i")], command[command.index("-i") :]
    assert (_value(before, "-ss") if "-ss" in before else None) == seek
    assert (_value(after, "-ss"), _value(after, "-t")) == (cut, "1.0000625")
    assert _value(after, "-af").startswith("atrim=start=1,") == (seek is not None)
    assert "-t" not in window_command("ffmpeg", "u", MEDIA, span, open_ended=True)


def test_finding_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one given, else PATH, else the wheel's; a wrong one is said so."""
    own = tmp_path / "ffmpeg"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    assert find_ffmpeg(str(own)) == str(own)
    with pytest.raises(EnvironmentFaultError, match="LONGFORM_FFMPEG"):
        find_ffmpeg(str(tmp_path / "none"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_ffmpeg() == str(own)
    monkeypatch.setenv("PATH", "")
    assert "imageio_ffmpeg" in find_ffmpeg()


async def test_a_binary_that_cannot_run(tmp_path: Path) -> None:
    """A file that is no program is a fault of the machine."""
    with pytest.raises(EnvironmentFaultError, match="cannot be started"):
        async with Decoding([str(tmp_path)]):
            pass


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


async def test_a_flood_of_complaints_neither_blocks_nor_grows() -> None:
    """stderr is drained while stdout is read; the last lines are kept, all are counted."""
    code = (
        "import sys\n"
        "for n in range(20000): print('complaint', n, 'x' * 50, file=sys.stderr)\n"
        "sys.stdout.buffer.write(bytes(400001))\n"
        "sys.exit(3)"
    )
    async with Decoding(_python(code)) as decoding:
        num_samples = sum([len(block) async for block in decoding.blocks()])
        outcome = await decoding.outcome()
    assert num_samples == 200_000
    assert (outcome.exit_code, outcome.num_messages, len(outcome.messages)) == (3, 20_000, 20)
    assert outcome.last_message.startswith("complaint 19999")


async def test_leaving_ends_a_process_that_would_not() -> None:
    """A process that ignores its pipes is killed and reaped when the context is left."""
    code = "import time; print('x' * 300000, flush=True); time.sleep(600)"
    async with Decoding(_python(code)) as decoding:
        process = decoding._process
    assert process.returncode == -9


async def test_memory_has_a_ceiling() -> None:
    """A child that asks for more memory than the ceiling does not get it."""
    code = "try: bytearray(2**30)\nexcept MemoryError: exit(7)"
    async with Decoding(_python(code)) as decoding:
        async for _ in decoding.blocks():
            pass
        assert (await decoding.outcome()).exit_code == 7


HANGING_CHILD = """
import asyncio, sys
from longform.media.decode.sandbox import child

async def main():
    command = [sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(600)"]
    async with child(command) as process:
        print(process.pid, (await process.stdout.readline()).decode(), end="", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def test_a_child_that_hangs_without_its_pipes_dies_with_its_parent() -> None:
    """A decoder in an endless loop notices no closed pipe; the kernel ends it all the same."""
    parent = subprocess.Popen(
        [sys.executable, "-c", HANGING_CHILD],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline().split()[0])
    hanging = psutil.Process(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    gone, _ = psutil.wait_procs([hanging], timeout=30)
    assert gone or hanging.status() == psutil.STATUS_ZOMBIE


class _Progress:
    """Progress that delivers nothing, and may say that it waits for its source."""

    bytes_sent = 0

    def __init__(self, waits: int) -> None:
        self._waits = waits

    @property
    def waits_for_source(self) -> bool:
        """Wait a number of times."""
        self._waits -= 1
        return self._waits >= 0


async def test_a_hang_is_told_from_waiting() -> None:
    """A child is given up only when it does nothing though nothing keeps it waiting."""
    progress = _Progress(waits=2)
    async with child(_python("import time; time.sleep(600)")) as process:
        assert process.stdout is not None
        with pytest.raises(StalledError):
            await Watchdog(progress, timeout_sec=0.05).read(process.stdout)
    assert progress._waits == -1


async def test_a_child_has_a_ceiling_of_time() -> None:
    """A loop that only counts is ended by its ceiling of CPU."""
    async with child(_python("while True: pass"), cpu_sec=1) as process:
        assert await process.wait() < 0
