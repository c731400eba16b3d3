"""The recordings of a job of 20 chunks: one read by windows, one in a single pass."""

import subprocess
from pathlib import Path

from longform.media.decode.ffmpeg_args import find_ffmpeg
from tests.conftest import WELCOME

CHUNK_SEC = 10
LENGTH_SEC = 205  # of chunks of 10 s, 20 and a half


def recordings(folder: Path) -> tuple[Path, Path]:
    """Make both from the bundled one."""
    made = folder / "windowed.flac", folder / "one-pass.mkv"
    for path in made:
        repeat = ["-stream_loop", "1", "-i", WELCOME, "-t", str(LENGTH_SEC), "-c:a", "flac"]
        subprocess.run([find_ffmpeg(None), "-v", "error", *repeat, path], check=True)
    return made
