"""Reading a list of recordings: under the rules for recordings, and of a bounded size."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from longform.errors import EmptySourceError, OutputError, ParameterError, SourceRefusedError
from longform.media.sources.open import BACKENDS, open_source, read_whole
from longform.net.policy import SourcePolicy, redact, require_size, scheme_of
from longform.storage.folder import LOCAL
from longform.storage.remote_folder import RemoteFolder, open_file_system
from longform.storage.store_errors import object_error, store_errors

MAX_DOCUMENT_BYTES = 2**26  # 64 MiB: some 500,000 lines, or the longest feeds five times over

WEB = frozenset({"http", "https"})
STORES = frozenset(BACKENDS) - LOCAL - WEB

# What a list may name, by where it lies. The author of a list from elsewhere must not get at the
# files and credentials of this process.
_NAMEABLE: Mapping[str, frozenset[str]] = MappingProxyType(
    dict.fromkeys(LOCAL, frozenset(BACKENDS)) | dict.fromkeys(WEB, WEB)
)
_NAMEABLE_FROM_STORES = STORES | WEB


@dataclass(frozen=True, slots=True)
class FetchContext:
    """What reading a list needs: the operator's rules, and a folder of the run."""

    policy: SourcePolicy
    scratch_dir: Path


async def read_document(url: str, fetch: FetchContext) -> bytes:
    """Return what lies at a path or a URL.

    Raises:
        SourceError: refused by the policy or the server, missing, or too large.
        RetryableError: it cannot be reached just now.
        ParameterError: a kind of URL that is not read.
    """
    if scheme_of(url) not in BACKENDS:
        return await asyncio.to_thread(_read_elsewhere, url)
    # No ranges and no shared blocks: feeds are often made anew for every request.
    policy = fetch.policy.model_copy(
        update={
            "max_bytes": MAX_DOCUMENT_BYTES,
            "max_download_bytes": MAX_DOCUMENT_BYTES,
            "require_range": False,
            "block_dir": None,
        }
    )
    try:
        source = await open_source(url, policy, fetch.scratch_dir)
    except EmptySourceError:
        return b""
    return await read_whole(source, policy)


def nameable_by(document_url: str) -> frozenset[str]:
    """Return the schemes of recordings that a list at this address may name ("": a path)."""
    return _NAMEABLE.get(scheme_of(document_url), _NAMEABLE_FROM_STORES)


def refusal(media_url: str, document_url: str) -> str | None:
    """Return why a list may not name a recording, or None where it may."""
    scheme = scheme_of(media_url)
    if scheme in nameable_by(document_url):
        return None
    if scheme not in BACKENDS:
        kinds = ", ".join(f"{name}://" for name in BACKENDS if name)
        return f"{redact(media_url)} cannot be opened: give a path or {kinds}"
    kind = "files of this machine" if scheme in LOCAL else f"{scheme}:// addresses"
    return f"a list at {redact(document_url)} may not name {kind}; use a list on this machine"


def _read_elsewhere(url: str) -> bytes:
    """Read from a store that the operator has registered with fsspec."""
    shown = redact(url)
    try:
        RemoteFolder(url).check()
    except OutputError as error:
        raise ParameterError(f"a list cannot be read at {shown}: {error}") from error
    try:
        store, path = open_file_system(url)
        require_size(shown, store.info(path).get("size"), MAX_DOCUMENT_BYTES)
        return bytes(store.cat_file(path))
    except store_errors() as error:
        raise object_error(error, shown) from error


def require_scheme(url: str, allowed: frozenset[str], what: str) -> None:
    """Check where something may lie.

    Raises:
        SourceRefusedError: elsewhere.
    """
    if scheme_of(url) not in allowed:
        kinds = ", ".join(sorted(f"{name}://" if name else "a path" for name in allowed))
        raise SourceRefusedError(f"{redact(url)}: {what} must be one of {kinds}")
