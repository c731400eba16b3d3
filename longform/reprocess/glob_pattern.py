"""Recordings that a pattern finds in a folder or an object store."""

import asyncio
import re
from pathlib import PurePosixPath

from longform.errors import ParameterError
from longform.extras import missing_extra
from longform.media.sources.local_file import local_path, portable_address
from longform.net.policy import redact, scheme_of
from longform.reprocess.documents import STORES, FetchContext, require_scheme
from longform.reprocess.entry import Entry
from longform.storage.folder import LOCAL
from longform.storage.remote_folder import open_file_system
from longform.storage.store_errors import EXTRAS, object_error, store_errors

_MAGIC = re.compile(r"[*?\[{]")


class GlobPattern:
    """`/media/**/*.mp3` or `s3://bucket/shows/**/*.mp3`; transcripts keep the folders below it."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern

    async def entries(self, fetch: FetchContext) -> list[Entry]:
        """Return what the pattern finds, sorted; hidden files are left out, as shells do.

        Raises:
            SourceError: a kind of URL that cannot be listed, or that may not be read.
            ParameterError: it is no pattern.
            RetryableError: the store cannot be reached just now.
        """
        require_scheme(self._pattern, LOCAL | STORES, "what is listed")
        if "::" in self._pattern:
            raise ParameterError(f"{redact(self._pattern)}: chains of file systems are not listed")
        root, found = await asyncio.to_thread(self._find)
        return [self._entry(path, root) for path in found]

    def _find(self) -> tuple[str, list[str]]:
        is_local = scheme_of(self._pattern) in LOCAL
        pattern = str(local_path(self._pattern)) if is_local else self._pattern
        try:
            store, path = open_file_system(pattern)
            store.invalidate_cache()
            found = store.glob(path, detail=True)
        except ImportError as error:
            extra = EXTRAS.get(scheme_of(pattern), "")
            raise missing_extra(f"{scheme_of(pattern)}://", extra) from error
        except store_errors() as error:
            if isinstance(error, ValueError):
                raise ParameterError(f"{redact(pattern)} is not a pattern: {error}") from error
            raise object_error(error, redact(pattern)) from error
        files = (path for path, status in found.items() if status.get("type") == "file")
        return _root(path), sorted(file for file in files if not _is_hidden(file, _root(path)))

    def _entry(self, path: str, root: str) -> Entry:
        scheme = scheme_of(self._pattern)
        address = portable_address(path) if scheme in LOCAL else f"{scheme}://{path}"
        return Entry(media_url=address, folder=str(PurePosixPath(_below(path, root)).parent))


def _root(pattern: str) -> str:
    """Return the folder in which a pattern begins to be one."""
    parts = pattern.split("/")
    first = next((i for i, part in enumerate(parts) if _MAGIC.search(part)), len(parts) - 1)
    return "/".join(parts[:first])


def _below(path: str, root: str) -> str:
    return path.removeprefix(root).lstrip("/")


def _is_hidden(path: str, root: str) -> bool:
    return any(part.startswith(".") for part in _below(path, root).split("/"))
