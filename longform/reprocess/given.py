"""Recordings that are named one by one."""

from longform.media.local_file import portable_address
from longform.reprocess.documents import Desk
from longform.reprocess.item import Entry


class GivenList:
    """The list that the caller wrote down."""

    def __init__(self, sources: tuple[str, ...]) -> None:
        self._sources = sources

    async def entries(self, desk: Desk) -> list[Entry]:
        """Return an entry for each, in order."""
        return [Entry(media_url=portable_address(source)) for source in self._sources]
