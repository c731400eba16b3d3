"""The recordings that texts are measured on, those of LONGFORM_MEDIA, and their utterances."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from longform.audio import SAMPLE_RATE_HZ, Pcm, Span
from longform.media.decode.ffmpeg_args import find_ffmpeg

# Some recordings are utterances joined with digital silence of this length, in seconds. Lossy
# codecs leave a few units of noise in it.
_GAPS_SEC = {"lj_printing.m4a": 0.3, "ivr_it_mulaw.wav": 0.7, "fleurs_fr.ogg": 0.4}
_GAP_LEVEL = 8  # of 32768


@dataclass(frozen=True)
class Recording:
    """A recording with what is said in it.

    `language` is Whisper's code, "mixed" where there are several, None where nothing is said.
    """

    path: Path
    language: str | None
    reference: str

    @property
    def name(self) -> str:
        """The name of its file."""
        return self.path.name


@dataclass(frozen=True, eq=False)
class Utterance:
    """A stretch of a recording with its own reference text; int16, 16 kHz."""

    pcm: Pcm
    reference: str


def read_manifest(media: Path) -> list[Recording]:
    """Return the recordings that `manifest.jsonl` lists."""
    entries = map(json.loads, (media / "manifest.jsonl").read_text().splitlines())
    return [
        Recording(
            media / entry["file"],
            entry["language"],
            (media / entry["reference_text_file"]).read_text() if entry["language"] else "",
        )
        for entry in entries
    ]


def decode(path: Path) -> Pcm:
    """Return all audio of a file as int16 at 16 kHz; raw GSM has no header to tell it by."""
    demuxer = ["-f", "gsm"] if path.suffix == ".gsm" else []
    command = [find_ffmpeg(None), "-nostdin", "-v", "error", *demuxer, "-i", str(path)]
    command += ["-vn", "-map", "0:a:0", "-ac", "1", "-ar", "16000", "-f", "s16le", "-"]
    output = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(output, np.int16)


def utterances(recording: Recording) -> list[Utterance]:
    """Return the utterances of a recording that was joined from them, one per reference line."""
    pcm = decode(recording.path)
    gaps = _gaps(pcm, round(_GAPS_SEC[recording.name] * 0.8 * SAMPLE_RATE_HZ))
    starts = [0, *(gap.end_sample for gap in gaps)]
    ends = [*(gap.start_sample for gap in gaps), len(pcm)]
    lines = [line for line in recording.reference.splitlines() if line.strip()]
    spans = [(start, end) for start, end in zip(starts, ends, strict=True) if start < end]
    return [
        Utterance(pcm[start:end], line)
        for (start, end), line in zip(spans[: len(lines)], lines, strict=True)
    ]


def joined(parts: Sequence[Utterance]) -> str:
    """Return the references of utterances, one per line."""
    return "\n".join(part.reference for part in parts)


def _gaps(pcm: Pcm, min_samples: int) -> list[Span]:
    quiet = np.abs(pcm.astype(np.int32)) <= _GAP_LEVEL
    edges = np.flatnonzero(np.diff(np.concatenate([[0], quiet.astype(np.int8), [0]])))
    pairs = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    return [Span(start, end) for start, end in pairs if end - start >= min_samples]
