"""Broken and odd recordings: made with ffmpeg and by hand, the same ones each time.

`python -m tests.support.odd_media FOLDER` writes them all.
"""

import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from longform.media.decode.ffmpeg_args import find_ffmpeg
from tests.support.wav_file import chunk, tone, wav

Make = Callable[["Kitchen"], bytes]

SOUND_SEC = 6


@dataclass(frozen=True)
class Kitchen:
    """Where ingredients are made; each is made once."""

    folder: Path
    ffmpeg: str

    def cook(self, suffix: str, *arguments: str, source: str = "") -> bytes:
        """Return what ffmpeg makes of six seconds of tones, or of another lavfi source."""
        source = source or f"sine=f=300:d={SOUND_SEC}:r=44100"
        path = self.folder / f"{zlib.crc32(repr((source, suffix, arguments)).encode())}.{suffix}"
        if not path.exists():
            command = [self.ffmpeg, "-nostdin", "-v", "error", "-f", "lavfi", "-i", source]
            command += [*arguments, "-fflags", "+bitexact", "-flags", "+bitexact", str(path)]
            subprocess.run(command, check=True, timeout=120, capture_output=True)
        return path.read_bytes()

    def convert(self, content: bytes, suffix: str, *arguments: str) -> bytes:
        """Return what ffmpeg makes of a file."""
        source = self.folder / f"in-{zlib.crc32(content)}"
        source.write_bytes(content)
        path = self.folder / f"out-{zlib.crc32(repr((content, arguments)).encode())}.{suffix}"
        command = [self.ffmpeg, "-nostdin", "-y", "-v", "error", "-i", str(source), *arguments]
        subprocess.run([*command, str(path)], check=True, timeout=120, capture_output=True)
        return path.read_bytes()

    @cached_property
    def sound(self) -> dict[str, bytes]:
        """The same six seconds in containers that people send."""
        return {name: self.cook(*recipe) for name, recipe in RECIPES.items()}


RECIPES: dict[str, tuple[str, ...]] = {
    "wav": ("wav", "-c:a", "pcm_s16le"),
    "aiff": ("aiff",),
    "au": ("au",),
    "caf": ("caf",),
    "w64": ("w64",),
    "flac": ("flac",),
    "mp3": ("mp3", "-c:a", "libmp3lame", "-b:a", "64k"),
    "m4a": ("m4a", "-c:a", "aac", "-b:a", "64k", "-movflags", "+faststart"),
    "mov": ("mov", "-c:a", "aac", "-b:a", "64k"),
    "fragments.mp4": ("mp4", "-c:a", "aac", "-movflags", "empty_moov", "-frag_duration", "1000000"),
    "ogg": ("ogg", "-c:a", "libvorbis"),
    "opus": ("opus", "-c:a", "libopus", "-b:a", "32k"),
    "webm": ("webm", "-c:a", "libopus", "-b:a", "32k"),
    "mkv": ("mkv", "-c:a", "aac", "-b:a", "64k"),
    "aac": ("aac", "-c:a", "aac", "-b:a", "64k"),
    "ts": ("ts", "-c:a", "aac", "-b:a", "64k"),
    "wma": ("wma", "-c:a", "wmav2"),
    "avi": ("avi", "-c:a", "libmp3lame"),
    "flv": ("flv", "-c:a", "aac"),
    "ac3": ("ac3",),
    "wv": ("wv", "-c:a", "wavpack"),
    "tta": ("tta", "-c:a", "tta"),
    "mxf": ("mxf", "-c:a", "pcm_s16le", "-ar", "48000", "-f", "mxf_opatom"),
}


def cut(name: str, share: float) -> Make:
    """Return what keeps the first part of a container."""
    return lambda kitchen: kitchen.sound[name][: max(12, int(len(kitchen.sound[name]) * share))]


def flipped(name: str, one_in: int) -> Make:
    """Return what turns one bit in so many bytes around, but not in its header."""

    def make(kitchen: Kitchen) -> bytes:
        content, dice = bytearray(kitchen.sound[name]), random.Random(name)
        for _ in range(max(1, len(content) // one_in)):
            content[dice.randrange(6_000, len(content))] ^= 1 << dice.randrange(8)
        return bytes(content)

    return make


def blanked(name: str, start: float, share: float) -> Make:
    """Return what fills a stretch with zeros."""

    def make(kitchen: Kitchen) -> bytes:
        content = bytearray(kitchen.sound[name])
        first, num = int(len(content) * start), int(len(content) * share)
        content[first : first + num] = bytes(num)
        return bytes(content)

    return make


def pcm_wav(num_frames: int, rate: int, channels: int = 1, extra: bytes = b"") -> Make:
    """Return what makes a WAV file of a tone."""
    return lambda _: wav(np.repeat(tone(num_frames, rate), channels), rate, channels, extra)


def cooked(suffix: str, *arguments: str, source: str = "") -> Make:
    """Return what lets ffmpeg make a file."""
    return lambda kitchen: kitchen.cook(suffix, *arguments, source=source)


def joined(*makers: Make) -> Make:
    """Return what puts files one after the other."""
    return lambda kitchen: b"".join(make(kitchen) for make in makers)


def plain(content: bytes) -> Make:
    """Return what makes these very bytes."""
    return lambda _: content


def sound(name: str) -> Make:
    """Return what makes one of the sounds."""
    return lambda kitchen: kitchen.sound[name]


def patched(make: Make, mark: bytes, offset: int, value: bytes, *, every: bool = False) -> Make:
    """Return what overwrites bytes at a distance from where a mark is found."""

    def patch(kitchen: Kitchen) -> bytes:
        content = bytearray(make(kitchen))
        place = content.index(mark)
        while place >= 0:
            content[place + offset : place + offset + len(value)] = value
            place = content.find(mark, place + 1) if every else -1
        return bytes(content)

    return patch


def box(kind: bytes, *content: bytes) -> bytes:
    """Return an MP4 box."""
    body = b"".join(content)
    return struct.pack(">I", 8 + len(body)) + kind + body


def nested(kind: bytes, depth: int) -> bytes:
    """Return boxes in boxes."""
    sizes = range(8, 8 * depth + 1, 8)
    return b"".join(struct.pack(">I", size) + kind for size in reversed(sizes))


def many_tracks(number: int) -> Make:
    """Return what repeats the track of an MP4 file."""

    def make(kitchen: Kitchen) -> bytes:
        movie = kitchen.sound["mov"]
        moov = movie.index(b"moov") - 4
        size = struct.unpack_from(">I", movie, moov)[0]
        trak = movie.index(b"trak", moov) - 4
        track = movie[trak : trak + struct.unpack_from(">I", movie, trak)[0]]
        grown = movie[moov + 8 : trak] + track * number + movie[trak + len(track) : moov + size]
        return movie[:moov] + box(b"moov", grown) + movie[moov + size :]

    return make


def years(make: Make) -> Make:
    """Return what lets every header of an MP4 file speak of a hundred years."""
    for kind, offset in ((b"mvhd", 20), (b"mdhd", 20), (b"tkhd", 24)):
        make = patched(make, kind, offset, b"\xff\xff\xff\x00", every=True)
    return make


def id3(size_bytes: int, frame: bytes = b"PRIV") -> bytes:
    """Return an ID3v2.4 tag of about that size, with one frame."""

    def safe(number: int) -> bytes:
        return bytes(number >> shift & 127 for shift in (21, 14, 7, 0))

    body = frame + safe(size_bytes) + bytes(2) + bytes(size_bytes)
    return b"ID3\x04\0\0" + safe(len(body)) + body


def ogg_pages(number: int, serials: int = 1, first: bool = False) -> bytes:
    """Return pages without a packet; `first` marks each as the beginning of a stream."""
    table = _ogg_table()
    pages = []
    for index in range(number):
        head = struct.pack(
            "<4sBBqIIIB", b"OggS", 0, 2 if first else 0, 0, index % serials, index, 0, 0
        )
        sum_ = 0
        for byte in head:
            sum_ = (sum_ << 8 & 0xFFFFFFFF) ^ table[sum_ >> 24 ^ byte]
        pages.append(head[:22] + struct.pack("<I", sum_) + head[26:])
    return b"".join(pages)


def _ogg_table() -> list[int]:
    table = []
    for index in range(256):
        value = index << 24
        for _ in range(8):
            value = (value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)
        table.append(value & 0xFFFFFFFF)
    return table


def with_adts_crc(kitchen: Kitchen) -> bytes:
    """Return ADTS frames that announce a checksum, with room for it (and a wrong one in it)."""
    content, place, frames = kitchen.sound["aac"], 0, []
    while place + 7 <= len(content):
        head = bytearray(content[place : place + 7])
        size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        grown = size + 2
        head[1] &= 0xFE
        head[3] = head[3] & 0xFC | grown >> 11
        head[4] = grown >> 3 & 0xFF
        head[5] = head[5] & 0x1F | (grown & 7) << 5
        frames.append(bytes(head) + bytes(2) + content[place + 7 : place + size])
        place += size
    return b"".join(frames)


def ebml(number: int, *content: bytes) -> bytes:
    """Return a Matroska element with a size of eight bytes."""
    body = b"".join(content)
    name = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return name + b"\x01" + len(body).to_bytes(7, "big") + body


def zip_bomb_mkv(size_bytes: int) -> bytes:
    """Return Matroska with PCM whose one block unpacks to that many bytes of zeros."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(2**20)) for _ in range(size_bytes // 2**20))
    packed += packer.flush()
    compression = ebml(0x6D80, ebml(0x6240, ebml(0x5034, ebml(0x4254, b"\0"))))
    audio = ebml(
        0xE1, ebml(0xB5, struct.pack(">d", 16_000)), ebml(0x9F, b"\1"), ebml(0x6264, b"\x10")
    )
    track = ebml(
        0xAE,
        ebml(0xD7, b"\1"),
        ebml(0x73C5, b"\1"),
        ebml(0x83, b"\2"),
        ebml(0x86, b"A_PCM/INT/LIT"),
        audio,
        compression,
    )
    block = ebml(0xA3, b"\x81\0\0\x80" + packed)
    head = ebml(0x1A45DFA3, ebml(0x4282, b"matroska"), ebml(0x4287, b"\4"), ebml(0x4285, b"\2"))
    info = ebml(0x1549A966, ebml(0x2AD7B1, b"\x0f\x42\x40"))
    return head + ebml(
        0x18538067, info, ebml(0x1654AE6B, track), ebml(0x1F43B675, ebml(0xE7, b"\0"), block)
    )


def encrypted(kitchen: Kitchen) -> bytes:
    """Return an MP4 file under common encryption (cenc)."""
    key, kid = "00112233445566778899aabbccddeeff", "112233445566778899aabbccddeeff00"
    arguments = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", key)
    return kitchen.cook("mp4", "-c:a", "aac", *arguments, "-encryption_kid", kid)


def fmt_chunk(kind: int, channels: int, rate: int, frame_bytes: int, bits: int) -> bytes:
    """Return a WAV format chunk, also an impossible one."""
    bytes_per_sec = min(rate * frame_bytes, 2**32 - 1)
    return chunk(
        b"fmt ", struct.pack("<HHIIHH", kind, channels, rate, bytes_per_sec, frame_bytes, bits)
    )


def riff(*chunks: bytes, size: int | None = None, name: bytes = b"RIFF") -> bytes:
    """Return a RIFF file of these chunks; `size` is what its header claims."""
    body = b"WAVE" + b"".join(chunks)
    return name + struct.pack("<I", len(body) if size is None else size) + body


def main() -> None:
    """Write every file into the folder that is named."""
    from tests.odd_media.odd_cases import CASES

    folder = Path(sys.argv[1])
    kitchen = Kitchen(folder / "ingredients", find_ffmpeg(None))
    kitchen.folder.mkdir(parents=True, exist_ok=True)
    for case in CASES:
        (folder / case.name).write_bytes(case.make(kitchen))


if __name__ == "__main__":
    main()
