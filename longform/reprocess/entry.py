"""One entry of a list: a recording, what its own parameters are, and what names it for good."""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import Field

from longform.media.sources.local_file import local_path
from longform.net.policy import redact, scheme_of, shown_name
from longform.params import FrozenModel
from longform.transcript.file_stem import file_stem

# Parameters of a URL that permit, and do not say which file: they differ from day to day.
_PERMITS = re.compile(
    r"(x-(amz|goog|oss|ms)-.*|signature|expires|policy|key-pair-id|awsaccesskeyid|googleaccessid|"
    r"sig|token|access_token|security-token)$",
    re.IGNORECASE,
)
# Azure's have two letters, which may mean anything elsewhere: they count beside `sig` only.
_AZURE = frozenset({"sv", "se", "sp", "sr", "st", "spr", "sip", "ss", "srt", "ske", "skt", "sks"})
_AZURE |= {"skv", "skoid", "sktid"}


class Entry(FrozenModel):
    """A recording as a list names it.

    Attributes:
        media_url: path or URL, in full; it may carry a signature.
        folder: where its transcript goes below the output folder, such as `shows/2024`.
        name: what its files are called; None: after the recording.
        key: what names it for good where its address does not, such as a feed's guid.
        params: its own parameters, nested as in `TranscribeParams`.
        known_sec: how long it is, where the list says so.
        problem: why the entry cannot be used.
    """

    media_url: str = Field(repr=False)
    folder: str = ""
    name: str | None = None
    key: str | None = None
    params: Mapping[str, Any] = Field(default_factory=dict)
    known_sec: float | None = None
    problem: str | None = None

    @property
    def shown(self) -> str:
        """The address that people may see; the one that a transcript carries."""
        return shown_address(self.media_url)

    @property
    def host(self) -> str | None:
        """The host or the bucket that it is read from; None for local files."""
        if scheme_of(self.media_url) in ("", "file"):
            return None
        return urlsplit(self.shown).hostname

    @property
    def stem(self) -> str:
        """The stem of its files, as long as no other recording has it."""
        # A name that was given is taken as it is: ".x" is the suffix that is cut off.
        return file_stem(shown_name(self.media_url) if self.name is None else f"{self.name}.x")

    @property
    def identity(self) -> str:
        """What names the recording for good: it stays when a signature is renewed."""
        return self.key or "?".join(filter(None, (self.shown, _lasting_query(self.media_url))))

    @property
    def mark(self) -> str:
        """The hash of the identity, in hex."""
        return sha256(self.identity.encode("utf-8", "replace")).hexdigest()

    @property
    def is_named_by_path(self) -> bool:
        """Whether the address without its query says which recording it is."""
        return self.identity == self.shown


def shown_address(media_url: str) -> str:
    """Return an address as transcripts of it show it."""
    if scheme_of(media_url) in ("", "file"):
        return redact(str(local_path(media_url)))
    return redact(media_url)


def _lasting_query(media_url: str) -> str:
    if scheme_of(media_url) in ("", "file"):
        return ""
    pairs = parse_qsl(urlsplit(media_url).query, keep_blank_values=True)
    names = {name.lower() for name, _ in pairs}
    permits = _AZURE if "sig" in names else frozenset[str]()
    kept = [
        (name, value)
        for name, value in pairs
        if not _PERMITS.match(name) and name.lower() not in permits
    ]
    return urlencode(sorted(kept))
