"""One contract for everything that bytes are read from."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import fsspec
import pytest

from longform.errors import SourceChangedError, SourceError
from longform.media.model import Source
from longform.media.range_reader import RangeReader
from longform.media.sources.open import BACKENDS, open_reader, open_source
from longform.net.policy import SourcePolicy
from tests.support.gcs_server import GcsServer
from tests.support.range_server import RangeServer
from tests.support.s3_server import S3Server

CONTENT = random.Random(7).randbytes(3_000_001)

Replace = Callable[[bytes | None], None]  # None removes the content


class Backend:
    """A place that holds CONTENT, for one reader backend."""

    def __init__(self, url: str, replace: Replace) -> None:
        self.url = url
        self.replace = replace


@pytest.fixture(params=["local_file", "remote_http", "fsspec", "s3", "gs"])
def backend(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    server: RangeServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Backend:
    """Every backend in turn, with the same content behind it."""
    if request.param == "s3":
        return _s3(request.getfixturevalue("s3"))
    if request.param == "gs":
        return _gs(request.getfixturevalue("gcs"))
    return {"local_file": _local, "remote_http": _remote, "fsspec": _object}[request.param](
        tmp_path, server, monkeypatch
    )


def _local(tmp_path: Path, server: RangeServer, monkeypatch: pytest.MonkeyPatch) -> Backend:
    path = tmp_path / "talk.bin"
    path.write_bytes(CONTENT)

    def replace(content: bytes | None) -> None:
        path.unlink()
        if content is not None:
            path.write_bytes(content)

    return Backend(str(path), replace)


def _remote(tmp_path: Path, server: RangeServer, monkeypatch: pytest.MonkeyPatch) -> Backend:
    def replace(content: bytes | None) -> None:
        del server.habits.files["/talk.bin"]
        if content is not None:
            server.add(content)

    return Backend(server.add(CONTENT), replace)


def _object(tmp_path: Path, server: RangeServer, monkeypatch: pytest.MonkeyPatch) -> Backend:
    # fsspec's in-memory store stands in for those that have no client of their own.
    monkeypatch.setitem(BACKENDS, "memory", "object_store")
    store = fsspec.filesystem("memory")

    def replace(content: bytes | None) -> None:
        store.rm("/readers/talk.bin")
        if content is not None:
            store.pipe_file("/readers/talk.bin", content)

    store.pipe_file("/readers/talk.bin", CONTENT)
    return Backend("memory://readers/talk.bin", replace)


def _s3(s3: S3Server) -> Backend:
    def replace(content: bytes | None) -> None:
        s3.delete("talk.bin")
        if content is not None:
            s3.put("talk.bin", content)

    return Backend(s3.put("talk.bin", CONTENT), replace)


def _gs(gcs: GcsServer) -> Backend:
    def replace(content: bytes | None) -> None:
        gcs.delete("talk.bin")
        if content is not None:
            gcs.put("talk.bin", content)

    return Backend(gcs.put("talk.bin", CONTENT), replace)


@asynccontextmanager
async def reading(
    backend: Backend, policy: SourcePolicy, tmp_path: Path
) -> AsyncIterator[tuple[Source, RangeReader]]:
    """Open the backend's source and a reader of it."""
    source = await open_source(backend.url, policy, tmp_path)
    reader = open_reader(source, policy)
    try:
        yield source, reader
    finally:
        await reader.close()


async def test_reads_exactly_what_was_asked(
    backend: Backend, policy: SourcePolicy, tmp_path: Path
) -> None:
    """Any range, the first and the last byte included, is that part of the content."""
    edges = (0, 1, 65_535, 65_536, 1_500_000, len(CONTENT) - 1, len(CONTENT))
    async with reading(backend, policy, tmp_path) as (source, reader):
        assert source.length_bytes == len(CONTENT)
        for start in edges[:-1]:
            for end in (edge for edge in edges if edge > start):
                assert await reader.read(start, end) == CONTENT[start:end]


async def test_reads_may_run_at_once(
    backend: Backend, policy: SourcePolicy, tmp_path: Path
) -> None:
    """Concurrent reads do not mix."""
    starts = range(0, 2_000_000, 100_003)
    async with reading(backend, policy, tmp_path) as (_, reader):
        reads: list[Awaitable[bytes]] = [reader.read(start, start + 999) for start in starts]
        parts = await asyncio.gather(*reads)
    assert parts == [CONTENT[start : start + 999] for start in starts]


async def test_other_content_is_a_changed_source(
    backend: Backend, policy: SourcePolicy, tmp_path: Path
) -> None:
    """After the content was replaced by a shorter one, reading is a typed error."""
    async with reading(backend, policy, tmp_path) as (_, reader):
        backend.replace(CONTENT[:2_000_000])
        with pytest.raises(SourceChangedError):
            await reader.read(1_999_000, 2_001_000)


async def test_removed_content_is_a_source_error(
    backend: Backend, policy: SourcePolicy, tmp_path: Path
) -> None:
    """A source that is gone is an error of the input, not one to retry."""
    async with reading(backend, policy, tmp_path) as (_, reader):
        backend.replace(None)
        with pytest.raises(SourceError):
            await reader.read(0, 10)


async def test_sources_travel(backend: Backend, policy: SourcePolicy, tmp_path: Path) -> None:
    """A source survives JSON, and its address is not in its repr."""
    source = await open_source(backend.url, policy, tmp_path)
    assert Source.model_validate_json(source.model_dump_json()) == source
    assert "url=" not in repr(source)
    assert len(source.fingerprint) == len(hashlib.sha256().hexdigest())


async def test_equal_length_and_other_content_has_another_fingerprint(
    backend: Backend, policy: SourcePolicy, tmp_path: Path
) -> None:
    """The fingerprint follows the bytes."""
    before = await open_source(backend.url, policy, tmp_path)
    backend.replace(bytes(100) + CONTENT[100:])
    after = await open_source(backend.url, policy, tmp_path)
    assert before.length_bytes == after.length_bytes
    assert before.fingerprint != after.fingerprint
