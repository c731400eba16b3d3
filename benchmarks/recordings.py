"""Long recordings for benchmarks, made by repeating those in LONGFORM_MEDIA."""

import json
import os
import subprocess
from pathlib import Path

from longform.media.decode.ffmpeg_args import find_ffmpeg

REPO_ROOT = Path(__file__).resolve().parents[1]


def media_folder() -> Path:
    """Return the folder of recordings: LONGFORM_MEDIA, else ../shared/media."""
    folder = Path(os.environ.get("LONGFORM_MEDIA", REPO_ROOT.parent / "shared" / "media"))
    if not (folder / "manifest.jsonl").is_file():
        raise SystemExit(f"no manifest.jsonl in {folder}: set LONGFORM_MEDIA")
    return folder.resolve()


def speech_files(folder: Path, languages: frozenset[str]) -> list[Path]:
    """Return the recordings of speech in `languages` (empty: in any), in manifest order."""
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    spoken = [row for row in rows if row["language"] is not None]
    return [folder / row["file"] for row in spoken if not languages or row["language"] in languages]


def make_long(files: list[Path], duration_sec: float, target: Path) -> None:
    """Write `files`, one after the other and again from the start, as 16 kHz mono FLAC or PCM."""
    ffmpeg = [find_ffmpeg(), "-v", "error", "-nostdin", "-y"]
    once = target.with_name(f"{target.stem}-once.wav")
    inputs = [word for file in files for word in ("-i", str(file))]
    # The inputs differ in rate and channels; concat wants them equal.
    even = ";".join(
        f"[{n}:a:0]aresample=16000,aformat=sample_fmts=s16:channel_layouts=mono[a{n}]"
        for n in range(len(files))
    )
    joined = "".join(f"[a{n}]" for n in range(len(files)))
    graph = f"{even};{joined}concat=n={len(files)}:v=0:a=1[out]"
    subprocess.run([*ffmpeg, *inputs, "-filter_complex", graph, "-map", "[out]", once], check=True)
    repeat = ["-stream_loop", "-1", "-i", str(once), "-t", f"{duration_sec}"]
    codec = "flac" if target.suffix == ".flac" else "pcm_s16le"
    subprocess.run([*ffmpeg, *repeat, "-c:a", codec, target], check=True)
    once.unlink()
