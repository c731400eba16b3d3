"""Lists from everywhere: read under the rules for recordings, and each recording once."""

from pathlib import Path

import fsspec
import pytest

from longform.errors import (
    AddressDeniedError,
    ParameterError,
    SourceMissingError,
    SourceNotFoundError,
    SourceRefusedError,
    SourceTooLargeError,
)
from longform.media.sources.signed_urls import seal
from longform.net.policy import SourcePolicy
from longform.reprocess import documents
from longform.reprocess.documents import FetchContext
from longform.reprocess.request import SourceLists
from longform.reprocess.sources import list_sources
from tests.support.range_server import RangeServer, range_server
from tests.support.s3_server import BUCKET, S3Server


@pytest.fixture
def fetch(tmp_path: Path) -> FetchContext:
    """Return rules that admit the servers of these tests."""
    return FetchContext(SourcePolicy(allow_private_hosts=True, backoff_base_sec=0.0), tmp_path)


async def shown(fetch: FetchContext, **lists: object) -> list[tuple[str, str]]:
    """Return address and folder of what lists name."""
    entries = await list_sources(SourceLists.model_validate(lists), fetch)
    return [(entry.shown, entry.folder) for entry in entries]


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Return a folder with recordings at several depths, and things that are none."""
    root = tmp_path / "library"
    names = ("x.mp3", "a/y.mp3", "a/b/z [live] #1?.mp3", "a/.hidden.mp3", ".cache/c.mp3", "a/n.txt")
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (root / "folder.mp3").mkdir()
    return root


async def test_a_pattern_keeps_the_folders_below_it(fetch: FetchContext, library: Path) -> None:
    """Sorted, files only, hidden ones left out, odd names as they are."""
    assert await shown(fetch, glob=f"{library}/**/*.mp3") == [
        (f"{library}/a/b/z [live] #1?.mp3", "a/b"),
        (f"{library}/a/y.mp3", "a"),
        (f"{library}/x.mp3", "."),
    ]
    assert await shown(fetch, glob=f"file://{library}/a/*.mp3") == [(f"{library}/a/y.mp3", ".")]


async def test_a_pattern_of_objects(fetch: FetchContext, s3: S3Server) -> None:
    """In a bucket as in a folder, and what has been put there since is found."""
    s3.put("shows/a/x.mp3", b"x")
    pattern = f"s3://{BUCKET}/shows/**/*.mp3"
    assert await shown(fetch, glob=pattern) == [(f"s3://{BUCKET}/shows/a/x.mp3", "a")]
    s3.put("shows/y.mp3", b"x")
    assert len(await shown(fetch, glob=pattern)) == 2


@pytest.mark.parametrize(
    ("lists", "error"),
    [
        ({"glob": "https://h/*.mp3"}, SourceRefusedError),
        ({"glob": "simplecache::s3://bucket/*.mp3"}, SourceRefusedError),
        ({"glob": "/tmp/a**b/*.mp3"}, ParameterError),
        ({"glob": "/nowhere/at/all/*.mp3"}, ParameterError),
        ({"manifest": "ftp://h/x.txt"}, ParameterError),
        ({"manifest": "/nowhere/x.txt"}, SourceMissingError),
        ({}, ParameterError),
    ],
)
async def test_what_cannot_be_listed_is_refused(
    fetch: FetchContext, lists: dict[str, str], error: type[Exception]
) -> None:
    """Before anything is transcribed, with what is wrong."""
    with pytest.raises(error):
        await shown(fetch, **lists)


@pytest.fixture
def server() -> RangeServer:
    """Serve lists on this machine."""
    with range_server() as running:
        yield running


@pytest.mark.parametrize("ranges", [True, False])
async def test_a_list_on_the_web(fetch: FetchContext, server: RangeServer, ranges: bool) -> None:
    """With byte ranges and without, as pages that are made for each request have none."""
    server.habits.ranges = ranges
    server.habits.chunked = not ranges
    url = server.add(b"a.mp3\nb/c.mp3\n", "/lists/x.txt")
    found = await shown(fetch, manifest=f"{url}?signature=1")
    assert found == [(server.url("/lists/a.mp3"), "."), (server.url("/lists/b/c.mp3"), "b")]


async def test_lists_keep_to_the_address_policy(fetch: FetchContext, server: RangeServer) -> None:
    """Neither a manifest nor a feed leads to a private address, not even by a redirect."""
    url = server.add(b"a.mp3", "/x.txt")
    closed = FetchContext(SourcePolicy(), fetch.scratch_dir)
    for lists in ({"manifest": url}, {"feed": url}):
        with pytest.raises(AddressDeniedError):
            await shown(closed, **lists)
    assert server.requests == []


async def test_a_list_that_is_too_long_is_refused(
    fetch: FetchContext, server: RangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the server does not say how long it is."""
    monkeypatch.setattr(documents, "MAX_DOCUMENT_BYTES", 1_000)
    url = server.add(b"a.mp3\n" * 1_000, "/x.txt")
    for ranges in (True, False):
        server.habits.ranges, server.habits.chunked = ranges, not ranges
        with pytest.raises(SourceTooLargeError):
            await shown(fetch, manifest=url)


async def test_a_list_in_a_store_of_the_operators(fetch: FetchContext) -> None:
    """Any fsspec URL that transcripts may be written to can hold a list."""
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/lists/x.txt", b"https://h/a.mp3\n/etc/hosts\n")
    found = await list_sources(SourceLists(manifest="memory://lists/x.txt"), fetch)
    assert [entry.problem is None for entry in found] == [True, False]
    with pytest.raises(SourceNotFoundError):
        await shown(fetch, manifest="memory://lists/none.txt")


async def test_sealed_addresses_are_told_apart(fetch: FetchContext) -> None:
    """What hides a signature does not hide which file it is; one that is unknown fails alone."""
    urls = [f"https://h/download?id={number}&Signature=s" for number in (3, 4)]
    unknown = f"https://h/x.mp3#sealed-{'0' * 16}"
    lists = SourceLists(sources=(*map(seal, urls), unknown))
    found = await list_sources(lists, fetch)
    assert [entry.media_url for entry in found[:2]] == urls
    assert [entry.problem is None for entry in found] == [True, True, False]
    assert "Signature" not in repr(found)


async def test_a_recording_that_is_named_twice_is_taken_once(
    fetch: FetchContext, library: Path
) -> None:
    """By a list and a pattern, by two signatures of one address; the first counts."""
    listed = library / "list.txt"
    listed.write_text("x.mp3\nx.mp3\n")
    found = await shown(
        fetch,
        sources=(str(library / "a" / "y.mp3"), "https://h/s.mp3?sig=1", "https://h/s.mp3?sig=2"),
        manifest=str(listed),
        glob=f"{library}/**/[xy].mp3",
    )
    assert found == [
        (f"{library}/a/y.mp3", ""),
        ("https://h/s.mp3", ""),
        (f"{library}/x.mp3", "."),
    ]
