"""What may be opened, how much of it, and how patiently; and what of an address may be shown."""

from pathlib import PurePosixPath
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

from pydantic import Field

from longform.errors import SourceTooLargeError
from longform.params import FrozenModel

DAY_SEC = 86_400.0


class SourcePolicy(FrozenModel):
    """The operator's rules for sources. They travel with the source to every worker."""

    allow_private_hosts: bool = Field(
        False, description="Let sources lie on loopback, private and other special addresses."
    )
    require_range: bool = Field(False, description="Refuse servers without byte ranges.")
    max_bytes: int = Field(2**36, gt=0, description="Largest source, in bytes (64 GiB).")
    max_download_bytes: int = Field(
        2**33, gt=0, description="Largest source kept on disk for want of byte ranges (8 GiB)."
    )
    max_duration_sec: float = Field(DAY_SEC, gt=0, description="Longest recording, in seconds.")
    connect_timeout_sec: float = Field(10.0, gt=0, description="Time to reach a server.")
    stall_timeout_sec: float = Field(30.0, gt=0, description="Longest wait for the next byte.")
    min_bytes_per_sec: int = Field(
        2_000, ge=1, description="A slower transfer counts as stalled; speech needs about this."
    )
    max_attempts: int = Field(5, ge=1, description="Tries of a request that brings nothing new.")
    backoff_base_sec: float = Field(0.5, ge=0, description="First pause between two tries.")
    backoff_max_sec: float = Field(30.0, ge=0, description="Longest pause, Retry-After included.")
    max_lost_sec: float = Field(
        900.0, gt=0, description="Time that failing tries may cost a process, beyond its progress."
    )
    block_dir: str | None = Field(
        None, description="Folder in which the processes of a host share what they fetched."
    )
    url_refresh: str | None = Field(
        None, description="Dotted 'package.module:function' that returns a new link for an old one."
    )


def printable(text: str) -> str:
    """Return text as one line without control characters, and none that turn it around."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def require_size(shown: str, length_bytes: int | None, limit_bytes: int) -> None:
    """Check a length, as far as it is known, against a limit of the policy.

    Raises:
        SourceTooLargeError: it is over it.
    """
    if length_bytes is not None and length_bytes > limit_bytes:
        raise SourceTooLargeError(
            f"{shown} has {length_bytes} bytes; at most {limit_bytes} may be opened"
        )


def scheme_of(media_url: str) -> str:
    """Return the URL scheme in lower case, or "" for a path; `C:` alone is no scheme."""
    scheme, separator, _ = media_url.partition("://")
    return scheme.lower() if separator and scheme.isascii() else ""


def redact(media_url: str) -> str:
    """Return an address without user, password, query and fragment: what people may see.

    Signed URLs carry their permission in the query, so it never reaches logs or messages.
    Control characters are escaped: messages stay one line.
    """
    if not scheme_of(media_url):
        return printable(media_url)
    media_url = "".join(
        letter if letter.isprintable() else quote(letter, errors="replace") for letter in media_url
    )
    try:
        parts = urlsplit(media_url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return f"{scheme_of(media_url)}://…"
    return urlunsplit(SplitResult(parts.scheme, host, parts.path, "", ""))


def shown_name(media_url: str) -> str:
    """Return the file name of an address for titles, percent-decoded and printable."""
    shown = redact(media_url)
    path = shown.partition("://")[2].partition("/")[2] if scheme_of(shown) else shown
    name = PurePosixPath(unquote(path) if scheme_of(shown) else path).name
    printable = "".join(letter for letter in name if letter.isprintable())
    return printable or shown.partition("://")[2].partition("/")[0] or "recording"
