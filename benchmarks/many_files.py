"""A library of short recordings, some of which are broken, and what must become of each."""

import json
import subprocess
import wave
from collections.abc import Callable, Mapping
from pathlib import Path

from longform.media.decode.ffmpeg_args import find_ffmpeg

REPO_ROOT = Path(__file__).resolve().parents[1]
WELCOME = REPO_ROOT / "examples" / "welcome.flac"
RATE_HZ = 16_000
SAMPLE_BYTES = 2
LENGTH_SEC = 2.0
STRIDE_BYTES = 600 * SAMPLE_BYTES  # from one recording's start to the next: no two are the same

# What is wrong with a broken one, each in its turn.
FAULTS: Mapping[str, Callable[[Path, bytes], object]] = {
    "empty": lambda path, good: path.write_bytes(b""),
    "no recording": lambda path, good: path.write_bytes(b"this is no recording\n" * 50),
    "no audio": lambda path, good: path.write_bytes(good[:44]),
    "head lost": lambda path, good: path.write_bytes(good[1_000:]),
    "gone": lambda path, good: path.unlink(missing_ok=True),
}


def make_library(folder: Path, num_files: int, fault_share: float) -> dict[str, str]:
    """Write recordings of 2 s below `folder`; every so many of them are broken.

    Returns:
        the fault of each file by its name; empty: none.
    """
    decode = [find_ffmpeg(), "-v", "error", "-i", str(WELCOME), "-ac", "1", "-ar", str(RATE_HZ)]
    speech = subprocess.run([*decode, "-f", "s16le", "-"], check=True, capture_output=True).stdout
    length_bytes = int(LENGTH_SEC * RATE_HZ) * SAMPLE_BYTES
    made, num_broken = dict[str, str](), 0
    for number in range(num_files):
        path = folder / f"talk{number:05}.wav"
        start = number * STRIDE_BYTES % (len(speech) - length_bytes)
        with wave.open(str(path), "wb") as target:
            target.setparams((1, SAMPLE_BYTES, RATE_HZ, 0, "NONE", ""))
            target.writeframes(speech[start : start + length_bytes])
        made[path.name] = ""
        if (number + 1) * fault_share >= num_broken + 1:
            fault = [*FAULTS][num_broken % len(FAULTS)]
            FAULTS[fault](path, path.read_bytes())
            made[path.name] = fault
            num_broken += 1
    return made


def write_list(path: Path, folder: Path, names: Mapping[str, str]) -> None:
    """Write the list of a bulk run, the broken ones among the others."""
    lines = [json.dumps({"source": str(folder / name)}) for name in names]
    path.write_text("\n".join(lines) + "\n")
