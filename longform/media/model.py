"""A recording: a source that has been opened and probed."""

import hashlib
from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from longform.audio import Span
from longform.net.policy import SourcePolicy
from longform.params import FrozenModel
from longform.settings import Settings

BLOCK_BYTES = 262_144  # bytes; small enough that a header costs little, large enough for HTTP

Access = Literal["windowed", "sequential"]


class Media(FrozenModel):
    """What a source holds. Duration and sample count are the container's word, not a promise."""

    container: str  # ffmpeg's name of the demuxer, as "mov,mp4,m4a,3gp,3g2,mj2"
    codec: str
    sample_rate_hz: int
    channels: int
    audio_stream: int  # counted among the audio streams, from 0
    channel: int | None = None  # the one that is read, from 0; None: a mix of all
    duration_sec: float | None
    num_samples_estimate: int | None  # at 16 kHz
    promised_samples: int | None = None  # at 16 kHz; where a header or an index says so
    origin_sec: float = 0.0  # the container's time at the recording's zero
    start_sample: int = 0  # where the audio begins on the recording's timeline, at 16 kHz
    has_video: bool
    access: Access
    access_reason: str  # one line for people
    warnings: tuple[str, ...] = ()


class ContentCheck(FrozenModel):
    """A stretch `[start, end)` of a source that was read when it was opened, and its digest.

    It lies in one block of the cache and begins it.
    """

    start: int
    end: int
    digest: str


def content_digest(data: bytes) -> str:
    """Return the digest of a checked stretch: 64 bits, against accidents."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


class Source(FrozenModel):
    """A recording whose place, length and content were seen once, and are pinned.

    `url` is for readers: of a signed address it is the sealed form, which `signed_urls.resolve`
    turns back. People get `shown` and `name`. Where the source had to be downloaded, `url` is
    the path of the copy on this host.
    """

    url: str = Field(repr=False)
    shown: str
    name: str
    length_bytes: int
    supports_ranges: bool = True
    etag: str | None = None
    last_modified: str | None = None  # as the server writes it; for files, mtime in ns
    fingerprint: str  # sha256, hex; never depends on the address
    warnings: tuple[str, ...] = ()
    # By these any process can tell whether it reads the content that was opened.
    content_checks: tuple[ContentCheck, ...] = ()
    # What this reading's blocks go by in a block store; "": they are not shared.
    blocks: str = Field("", pattern="^[0-9a-f]*$")


def source_policy(settings: Settings) -> SourcePolicy:
    """Return what the operator lets runs open."""
    return SourcePolicy(
        allow_private_hosts=settings.allow_private_hosts,
        require_range=settings.require_range,
        block_dir=settings.block_dir_path,
        url_refresh=settings.url_refresh,
        max_bytes=settings.max_bytes,
        max_download_bytes=settings.max_download_bytes,
        max_duration_sec=settings.max_duration_sec,
    )


class Recording(FrozenModel):
    """All that a process, here or on another host, needs to read a recording's audio.

    `ffmpeg` is the operator's binary; None finds one on the host that reads.
    """

    source: Source
    media: Media
    policy: SourcePolicy
    ffmpeg: str | None = None


# What of a recording was lost: spans on its timeline, each with a reason in plain words.


class DamagedSpan(FrozenModel):
    """Audio that is missing or was decoded from broken data, in samples at 16 kHz."""

    start_sample: int
    end_sample: int
    reason: str

    @property
    def span(self) -> Span:
        """The place."""
        return Span(self.start_sample, self.end_sample)


class DamageReport:
    """Collects damage while a recording is read. Spans are in order and do not overlap."""

    def __init__(self, spans: Iterable[DamagedSpan] = ()) -> None:
        self._spans = list(spans)

    def add(self, start_sample: int, end_sample: int, reason: str) -> None:
        """Note that `[start_sample, end_sample)` is damaged; empty spans are ignored."""
        start_sample = max(0, start_sample)
        if start_sample < end_sample:
            found = DamagedSpan(start_sample=start_sample, end_sample=end_sample, reason=reason)
            self._spans.append(found)

    @property
    def spans(self) -> tuple[DamagedSpan, ...]:
        """All damage; where two spans overlap, the earlier one's reason holds for both."""
        merged: list[DamagedSpan] = []
        for one in sorted(self._spans, key=lambda one: (one.start_sample, one.end_sample)):
            last = merged[-1] if merged else None
            if (
                last is None
                or one.start_sample > last.end_sample
                or (one.start_sample == last.end_sample and one.reason != last.reason)
            ):
                merged.append(one)
            elif one.end_sample > last.end_sample:
                merged[-1] = last.model_copy(update={"end_sample": one.end_sample})
        return tuple(merged)

    def within(self, start_sample: int, end_sample: int | None) -> tuple[DamagedSpan, ...]:
        """Return the damage in a stretch, cut at its edges; None: without an end."""
        clipped = (
            one.model_copy(
                update={
                    "start_sample": max(one.start_sample, start_sample),
                    "end_sample": one.end_sample
                    if end_sample is None
                    else min(one.end_sample, end_sample),
                }
            )
            for one in self.spans
        )
        return tuple(one for one in clipped if one.start_sample < one.end_sample)
