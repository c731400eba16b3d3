"""Recordings that are named one by one."""

from longform.errors import SourceExpiredError
from longform.media.sources.local_file import portable_address
from longform.media.sources.signed_urls import known_address
from longform.reprocess.documents import FetchContext
from longform.reprocess.entry import Entry


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
