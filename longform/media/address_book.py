"""Full addresses of signed URLs, kept in memory; everything that is stored holds a sealed form.

A signed URL is a permission. Prefect stores the parameters of flows, and logs, artifacts and
outputs outlive a run, so these carry the address without its user, query and fragment, and
with a keyed hash in their place: `https://host/talk.m4a#sealed-4f0c…`. The hash tells two
addresses apart that differ only there. Only this book, in each process that reads the source,
knows what the sealed form stands for.
"""

import hmac
import re
import secrets
import threading
from collections import OrderedDict
from urllib.parse import urlsplit

from pydantic import SecretStr

from longform.errors import SourceExpiredError
from longform.media.policy import redact, scheme_of
from longform.params import FrozenModel

MAX_ADDRESSES = 10_000  # entries, the least used go first; some 20 MB of signed URLs
HASH_CHARACTERS = 16  # hex; 64 bits

# A key of this process: nobody can try signatures against a hash that was stored.
_KEY = secrets.token_bytes(32)
_SEAL = re.compile(rf"#sealed-[0-9a-f]{{{HASH_CHARACTERS}}}$")

_book: OrderedDict[str, str] = OrderedDict()
_writing = threading.Lock()


class Entry(FrozenModel):
    """One line of the book, on its way to another process; its repr hides the full address."""

    sealed: str
    full: SecretStr


def seal(media_url: str) -> str:
    """Return what may be stored of an address, and remember the address in this process.

    Paths, and URLs without user, query and fragment, are returned as they are.
    """
    if is_sealed(media_url) or not _has_secret(media_url):
        return media_url
    digest = hmac.new(_KEY, media_url.encode("utf-8", "surrogatepass"), "sha256").hexdigest()
    sealed = f"{redact(media_url)}#sealed-{digest[:HASH_CHARACTERS]}"
    _remember(sealed, media_url)
    return sealed


def is_sealed(media_url: str) -> bool:
    """Tell whether an address is a sealed form."""
    found = _SEAL.search(media_url)
    return found is not None and media_url == redact(media_url) + found[0]


def full_address(media_url: str) -> str:
    """Return the address behind a sealed form; any other address is returned as it is.

    Raises:
        SourceExpiredError: this process does not know what the sealed form stands for.
    """
    with _writing:
        full = _book.get(media_url)
        if full is not None:
            _book.move_to_end(media_url)
            return full
    if not is_sealed(media_url):
        return media_url
    raise SourceExpiredError(
        f"{redact(media_url)}: its signature was not kept, so it cannot be opened again; "
        "start again with the full link"
    )


def entry(media_url: str) -> Entry | None:
    """Return what another process must know to open an address; None where that is nothing."""
    full = full_address(media_url)
    return None if full == media_url else Entry(sealed=media_url, full=SecretStr(full))


def enter(known: Entry | None) -> None:
    """Take in what another process has sent.

    A newer address that was found here meanwhile stays: links are refreshed where they are read.
    """
    if known is not None:
        with _writing:
            is_new = known.sealed not in _book
        if is_new:
            _remember(known.sealed, known.full.get_secret_value())


def replace(sealed: str, full: str) -> None:
    """Let a sealed form stand for another address from now on: its link was refreshed."""
    _remember(sealed, full)


def _remember(sealed: str, full: str) -> None:
    with _writing:
        _book[sealed] = full
        _book.move_to_end(sealed)
        while len(_book) > MAX_ADDRESSES:
            _book.popitem(last=False)


def _has_secret(media_url: str) -> bool:
    if scheme_of(media_url) in ("", "file"):
        return False
    try:
        parts = urlsplit(media_url)
    except ValueError:
        return True  # what cannot be taken apart may hold anything
    return bool("@" in parts.netloc or parts.query or parts.fragment)
