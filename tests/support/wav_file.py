"""WAV files, byte by byte."""

import struct

import numpy as np

from longform.audio import Pcm


def chunk(name: bytes, content: bytes) -> bytes:
    """Return a RIFF chunk, padded to an even length."""
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def wav(pcm: Pcm, sampling_rate_hz: int = 16_000, channels: int = 1, extra: bytes = b"") -> bytes:
    """Return a 16-bit WAV file; `extra` are chunks that come before the audio."""
    frame_bytes = 2 * channels
    fmt = struct.pack(
        "<HHIIHH", 1, channels, sampling_rate_hz, sampling_rate_hz * frame_bytes, frame_bytes, 16
    )
    body = chunk(b"fmt ", fmt) + extra + chunk(b"data", pcm.astype("<i2").tobytes())
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def tone(num_samples: int, sampling_rate_hz: int = 16_000) -> Pcm:
    """Return a quiet tone of 220 Hz."""
    seconds = np.arange(num_samples) / sampling_rate_hz
    return (3_000 * np.sin(2 * np.pi * 220 * seconds)).astype("<i2")
