"""Recordings that a file lists: .txt, .csv or .jsonl, with parameters for each file."""

import asyncio
import posixpath
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from urllib.parse import urljoin, urlsplit

from longform.errors import ParameterError
from longform.media.sources.local_file import local_path, portable_address
from longform.net.policy import redact, scheme_of
from longform.reprocess.documents import WEB, FetchContext, read_document, refusal
from longform.reprocess.entry import Entry
from longform.reprocess.rows import Row, csv_rows, decoded, jsonl_rows, txt_rows
from longform.storage.folder import LOCAL

Parser = Callable[[str], Iterable[Row]]

PARSERS: Mapping[str, Parser] = MappingProxyType(
    {".txt": txt_rows, ".csv": csv_rows, ".tsv": csv_rows, ".jsonl": jsonl_rows}
)


class Manifest:
    """A list at a path or a URL. Addresses in it are relative to it."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def entries(self, fetch: FetchContext) -> list[Entry]:
        """Return an entry for each row; a row that cannot be used is one with a problem.

        Raises:
            SourceError, RetryableError: from `read_document`.
            ParameterError: it is no list: its name, its encoding or its columns.
        """
        parser = parser_of(self._url)
        content = await read_document(self._url, fetch)
        return await asyncio.to_thread(parse_manifest, content, self._url, parser)


def parser_of(url: str) -> Parser:
    """Return the parser for a manifest of this name.

    Raises:
        ParameterError: there is none.
    """
    suffix = PurePosixPath(urlsplit(url).path if scheme_of(url) else url).suffix.lower()
    if suffix not in PARSERS:
        raise ParameterError(f"{redact(url)}: a manifest ends in {', '.join(PARSERS)}; rename it")
    return PARSERS[suffix]


def parse_manifest(content: bytes, url: str, parser: Parser) -> list[Entry]:
    """Return the entries of a manifest.

    Raises:
        ParameterError: it is not what its name says, or names nothing.
    """
    shown = redact(url)
    try:
        rows = [*parser(decoded(content))]
    except ValueError as error:
        raise ParameterError(f"{shown}: {error}") from error
    if not rows:
        raise ParameterError(f"{shown} names no recording")
    return [_entry(row, url) for row in rows]


def _entry(row: Row, url: str) -> Entry:
    if row.problem is not None:
        return Entry(media_url=f"{redact(url)}, line {row.line}", problem=row.problem)
    media_url = resolved(row.source, url)
    return Entry(
        media_url=media_url,
        folder=_folder(row.source),
        name=row.name,
        params=row.params,
        known_sec=row.known_sec,
        problem=refusal(media_url, url),
    )


def resolved(source: str, manifest_url: str) -> str:
    """Return the address of a source that a manifest names, which may be relative to it."""
    if scheme_of(source):
        return source
    scheme = scheme_of(manifest_url)
    if scheme in LOCAL:
        folder = local_path(manifest_url).parent
        expanded = Path(source).expanduser() if source.startswith("~") else Path(source)
        return portable_address(str(folder / expanded))
    if source.startswith("/") and scheme not in WEB:
        return source  # a path of this machine, which such a manifest may not name
    if scheme in WEB:
        return urljoin(manifest_url.partition("?")[0], source)
    bucket, _, path = manifest_url.partition("://")[2].partition("/")
    joined = posixpath.normpath(posixpath.join("/", posixpath.dirname(path), source))
    return f"{scheme}://{bucket}{joined}"


def _folder(source: str) -> str:
    """Return the folder of a relative source, which its transcript keeps."""
    path = PurePosixPath(source)
    if scheme_of(source) or path.is_absolute() or {"..", "~"} & {*path.parts}:
        return ""
    return str(path.parent)
