"""The recordings of a bulk run, from all of its lists, each of them once."""

from typing import Protocol

from longform.errors import ParameterError, SourceExpiredError
from longform.media.sources.local_file import portable_address
from longform.media.sources.signed_urls import known_address
from longform.reprocess.documents import FetchContext
from longform.reprocess.entry import Entry
from longform.reprocess.feed import Feed
from longform.reprocess.glob_pattern import GlobPattern
from longform.reprocess.manifest import Manifest
from longform.reprocess.request import SourceLists

MAX_FILES = 100_000  # some 100 MB of records, and three times that of files that wait


class Listing(Protocol):
    """Something that names recordings."""

    async def entries(self, fetch: FetchContext) -> list[Entry]:
        """Return what it names, in order."""
        ...


async def list_sources(lists: SourceLists, fetch: FetchContext) -> list[Entry]:
    """Return what the lists name, one after the other; what is named twice counts once.

    Raises:
        ParameterError: nothing is named, or too much, or a list is not what it should be.
        SourceError, RetryableError: a list cannot be read.
    """
    require_some(lists)
    found = [entry for listing in _listings(lists) for entry in await listing.entries(fetch)]
    first: dict[tuple[str | None, ...], Entry] = {}
    for entry in found:
        first.setdefault((entry.identity, entry.name, entry.problem), entry)
    entries = [*first.values()]
    if not entries:
        raise ParameterError("the lists name no recording; look at the pattern, or at the files")
    if len(entries) > MAX_FILES:
        raise ParameterError(f"{len(entries)} recordings are named; {MAX_FILES} at most in a run")
    return entries


def require_some(lists: SourceLists) -> None:
    """Check that any list is given at all.

    Raises:
        ParameterError: none is.
    """
    if not (lists.sources or lists.manifest or lists.glob or lists.feed):
        raise ParameterError("no recording is named: give sources, a manifest, a glob or a feed")


class GivenList:
    """The list that the caller wrote down."""

    def __init__(self, sources: tuple[str, ...]) -> None:
        self._sources = sources

    async def entries(self, fetch: FetchContext) -> list[Entry]:
        """Return an entry for each, in order; sealed addresses in full, which tells them apart."""
        return [await _entry(source, fetch) for source in self._sources]


async def _entry(source: str, fetch: FetchContext) -> Entry:
    try:
        full = await known_address(source, fetch.policy)
    except SourceExpiredError as error:
        return Entry(media_url=source, problem=str(error))
    return Entry(media_url=portable_address(full))


def _listings(lists: SourceLists) -> list[Listing]:
    listings: list[Listing] = [GivenList(lists.sources)]
    listings += [Manifest(lists.manifest)] if lists.manifest else []
    listings += [GlobPattern(lists.glob)] if lists.glob else []
    listings += [Feed(lists.feed)] if lists.feed else []
    return listings
