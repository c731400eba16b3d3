"""One real recording in every container that people send."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

SECONDS = 20  # of the recording; several windows, and quick to make


@dataclass(frozen=True)
class Container:
    """How to make a container with ffmpeg, and how it must be read."""

    name: str
    arguments: tuple[str, ...]
    access: str
    video: bool = False


_AAC = ("-c:a", "aac", "-b:a", "64k", "-aac_pns", "0")

CONTAINERS = tuple(
    Container(name, tuple(arguments.split()), access, video)
    for name, arguments, access, video in (
        ("pcm16.wav", "-c:a pcm_s16le", "windowed", False),
        ("pcm24_48k.wav", "-c:a pcm_s24le -ar 48000 -ac 2", "windowed", False),
        ("mulaw_8k.wav", "-c:a pcm_mulaw -ar 8000", "windowed", False),
        ("rf64.wav", "-c:a pcm_s16le -rf64 always", "windowed", False),
        ("pcm16.w64", "-c:a pcm_s16le", "sequential", False),
        ("pcm16.aiff", "-c:a pcm_s16be", "windowed", False),
        ("pcm16.au", "-c:a pcm_s16be", "windowed", False),
        ("adpcm.wav", "-c:a adpcm_ms", "sequential", False),
        ("plain.flac", "-c:a flac", "windowed", False),
        ("hires.flac", "-c:a flac -ar 96000 -sample_fmt s32", "windowed", False),
        ("cbr.mp3", "-c:a libmp3lame -b:a 64k", "sequential", False),
        ("vbr.mp3", "-c:a libmp3lame -q:a 6", "sequential", False),
        ("aac.m4a", " ".join(_AAC) + " -movflags +faststart", "windowed", False),
        ("alac.m4a", "-c:a alac", "sequential", False),
        ("moov_at_the_end.m4a", " ".join(_AAC), "windowed", False),
        ("video.mp4", " ".join(_AAC) + " -movflags +faststart", "windowed", True),
        ("video.mov", " ".join(_AAC), "windowed", True),
        (
            "fragmented.mp4",
            " ".join(_AAC) + " -movflags frag_keyframe+empty_moov",
            "sequential",
            True,
        ),
        ("hybrid.mp4", " ".join(_AAC) + " -movflags frag_keyframe", "sequential", True),
        ("opus.ogg", "-c:a libopus -b:a 32k", "sequential", False),
        ("vorbis.ogg", "-c:a libvorbis", "sequential", False),
        ("opus.webm", "-c:a libopus -b:a 32k", "sequential", False),
        ("aac.mkv", " ".join(_AAC), "sequential", True),
        ("wma.wma", "-c:a wmav2", "sequential", False),
        ("transport.ts", " ".join(_AAC), "sequential", True),
        ("adts.aac", " ".join(_AAC), "sequential", False),
        ("sound.flv", " ".join(_AAC), "sequential", False),
        ("core.caf", "-c:a pcm_s16le", "sequential", False),
        ("interleaved.avi", "-c:a libmp3lame", "sequential", True),
    )
)

# Variants of a kind that another stands for: made in the full suite only.
FULL_ONLY = frozenset(
    {
        "pcm16.wav",
        "mulaw_8k.wav",
        "rf64.wav",
        "pcm16.w64",
        "pcm16.au",
        "adpcm.wav",
        "hires.flac",
        "alac.m4a",
        "video.mov",
        "hybrid.mp4",
        "sound.flv",
        "core.caf",
        "interleaved.avi",
    }
)


def make(
    container: Container, recording: Path, folder: Path, ffmpeg: str, seconds: int = SECONDS
) -> Path:
    """Make `container` from `recording` in `folder`; made before, it is taken as it is."""
    path = folder / container.name
    if not path.exists():
        picture = ("-f", "lavfi", "-i", "testsrc=size=64x48:rate=5") if container.video else ()
        coded = ("-c:v", "mpeg4", "-map", "1:v", "-map", "0:a") if container.video else ("-vn",)
        command = [ffmpeg, "-nostdin", "-v", "error", "-i", str(recording), *picture]
        command += ["-t", str(seconds), *coded, *container.arguments, str(path)]
        subprocess.run(command, check=True, timeout=60)
    return path
