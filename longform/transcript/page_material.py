"""What a page shows beyond the transcript: the waveform, the cuts, and the recording itself."""

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

import numpy as np

from longform.audio import SAMPLE_RATE_HZ, Pcm
from longform.params import FrozenModel
from longform.transcript.segment import ChunkResult

PEAK_SAMPLES = SAMPLE_RATE_HZ // 10  # samples per bar of the waveform: 36,000 bars an hour
_FULL_SCALE_SHIFT = 7  # 15 bits of amplitude into the 8 of a bar
EMBED_BYTES = 8 * 2**20  # bytes; larger recordings are linked. The page grows by 4/3 of this

# What browsers play, by suffix: `mimetypes` takes its table from the machine that it runs on.
_PLAYABLE = {
    ".aac": "audio/aac",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".m4b": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".oga": "audio/ogg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".wav": "audio/wav",
    ".webm": "video/webm",
}
_AUDIO_ONLY = {
    "video/mp4": "audio/mp4",
    "video/quicktime": "audio/mp4",
    "video/webm": "audio/webm",
}


class Peaks:
    """Collects the loudest sample of every tenth of a second while audio streams by.

    Bars lie on one grid for the whole recording, so that chunks may be joined in any order.
    """

    def __init__(self, start_sample: int) -> None:
        self.first_bar = start_sample // PEAK_SAMPLES
        self._position = start_sample
        self._parts: list[tuple[int, bytes]] = []

    def push(self, pcm: Pcm) -> None:
        """Take the next int16 samples, shape (n,)."""
        if not len(pcm):
            return
        # int32: the absolute of -32768 does not fit into int16.
        level = np.abs(pcm.astype(np.int32))
        first = self._position // PEAK_SAMPLES
        edges = np.arange((first + 1) * PEAK_SAMPLES - self._position, len(level), PEAK_SAMPLES)
        loudest = np.maximum.reduceat(level, np.concatenate([[0], edges])) >> _FULL_SCALE_SHIFT
        bars = np.minimum(loudest, 255).astype(np.uint8)
        self._parts.append((first - self.first_bar, bars.tobytes()))
        self._position += len(pcm)

    def bars(self) -> bytes:
        """Return all bars so far (0-255), the open one included."""
        return join_peaks(self._parts)


def join_peaks(parts: Iterable[tuple[int, bytes]]) -> bytes:
    """Join stretches of bars, given with their first bar; of two for one bar the louder stays."""
    found = [(first, np.frombuffer(bars, np.uint8)) for first, bars in parts]
    length = max((first + len(bars) for first, bars in found), default=0)
    joined = np.zeros(length, np.uint8)
    for first, bars in found:
        place = joined[first : first + len(bars)]
        np.maximum(place, bars, out=place)
    return joined.tobytes()


class PageMedia(FrozenModel):
    """How a page gets at the recording: its bytes, a link, or (both empty) a file picker.

    `mime` is "" where browsers cannot play the format.
    """

    mime: str = ""
    content: bytes = b""
    href: str = ""

    @property
    def has_video(self) -> bool:
        """Whether the player must show a picture."""
        return self.mime.startswith("video/")


NO_MEDIA = PageMedia()


class PageMaterial(FrozenModel):
    """What the page draws; it is in no other file, and in no cache but the chunks' own.

    Attributes:
        peaks: one byte for each `PEAK_SAMPLES` of the recording.
        macro_starts: first samples of the macro chunks, in order.
        micro_starts: first samples of the micro chunks, in order.
    """

    peaks: bytes = b""
    macro_starts: tuple[int, ...] = ()
    micro_starts: tuple[int, ...] = ()
    media: PageMedia = NO_MEDIA


NO_MATERIAL = PageMaterial()


def page_material(results: Sequence[ChunkResult], media: PageMedia) -> PageMaterial:
    """Return what the chunks of one recording, in any order, give to its page."""
    in_time = sorted(results, key=lambda result: result.start_sample)
    return PageMaterial(
        peaks=join_peaks((r.start_sample // PEAK_SAMPLES, r.peaks) for r in in_time),
        macro_starts=tuple(result.start_sample for result in in_time),
        micro_starts=tuple(
            part.start_sample for r in in_time for part in r.coverage if part.kind == "speech"
        ),
        media=media,
    )


def playable_mime(name: str, *, has_video: bool) -> str:
    """Return the media type under which browsers play a file of that name; "" if they do not."""
    mime = _PLAYABLE.get(PurePosixPath(name.lower()).suffix, "")
    return mime if has_video else _AUDIO_ONLY.get(mime, mime)
