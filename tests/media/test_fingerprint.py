"""The laws of the fingerprint, and sources that change while they are read."""

import asyncio
import os
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longform.errors import SourceChangedError, SourceError, SourceNotFoundError
from longform.media.gateway.gateway import serve
from longform.media.model import BLOCK_BYTES, Source
from longform.media.sources import local_file
from longform.media.sources.fingerprint import (
    CHECK_BYTES,
    NUM_CHECKS,
    WHOLE_BYTES,
    ContentHash,
    check_spans,
    remote_fingerprint,
    validator,
)
from longform.media.sources.open import open_reader, open_source, require_unchanged
from longform.net.policy import SourcePolicy
from tests.support.range_server import RangeServer

LARGE = random.Random(6).randbytes(2_600_003)
LENGTHS = st.sampled_from([1, 2, 999, CHECK_BYTES, WHOLE_BYTES, WHOLE_BYTES + 1, 2_000_003])


@pytest.fixture
def policy(policy: SourcePolicy) -> SourcePolicy:
    """As in the other tests of media, with time for a server on a busy machine."""
    return policy.model_copy(update={"stall_timeout_sec": 10.0})


class InMemory:
    """A reader of bytes at hand."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.num_bytes = 0

    async def read(self, start: int, end: int) -> bytes:
        self.num_bytes += end - start
        return self.content[start:end]

    async def close(self) -> None:
        """Nothing to give back."""


def identify(content: bytes, etag: str | None = None) -> str:
    """Return the fingerprint of a source with this content and ETag."""
    return asyncio.run(remote_fingerprint(InMemory(content), len(content), validator(etag)))


@given(length=st.integers(WHOLE_BYTES + 1, 2**45))
def test_samples_lie_inside_and_at_both_ends(length: int) -> None:
    """Whatever the length, head and tail are among the samples, each begins a block, none meet."""
    spans = check_spans(length)
    assert len(spans) <= NUM_CHECKS
    assert (spans[0][0], spans[-1][1]) == (0, length)
    assert all(start % BLOCK_BYTES == 0 and start < end for start, end in spans)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


@settings(max_examples=30)
@given(length=LENGTHS, place=st.floats(0, 1, exclude_max=True), etag=st.sampled_from([None, '"e"']))
def test_a_change_in_what_was_read_changes_it(length: int, place: float, etag: str | None) -> None:
    """Any byte of a small file, and any sampled byte of a large one, is part of the identity."""
    content = random.Random(length).randbytes(length)
    at = int(place * min(length, CHECK_BYTES))
    changed = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    assert identify(content, etag) == identify(content, etag) != identify(changed, etag)


@settings(max_examples=10)
@given(length=LENGTHS)
def test_another_length_is_another_recording(length: int) -> None:
    """Zeros and one zero more are told apart."""
    assert identify(bytes(length)) != identify(bytes(length + 1))


def test_a_strong_validator_covers_what_was_not_sampled() -> None:
    """A change between the samples shows in the ETag; without one it cannot be known."""
    changed = LARGE[:100_000] + bytes([LARGE[100_000] ^ 1]) + LARGE[100_001:]
    assert identify(LARGE, '"a"') != identify(changed, '"b"')
    assert identify(LARGE) == identify(changed)
    assert identify(LARGE, 'W/"a"') == identify(LARGE, 'W/"b"') == identify(LARGE)


def test_a_checksum_is_the_same_with_and_without_quotes() -> None:
    """An object is one recording by s3:// and by a signed link."""
    assert identify(LARGE, '"0123"') == identify(LARGE, "0123")


def test_what_is_read_whole_has_one_identity() -> None:
    """A small source is its bytes alone, whatever its validators say."""
    content = ContentHash()
    content.update(LARGE[:1_000])
    assert identify(LARGE[:1_000], '"a"') == identify(LARGE[:1_000]) == content.hexdigest()


def test_a_large_source_costs_a_megabyte() -> None:
    """However long it is, 1 MiB is read, and of the last block what the file has of it."""
    reader = InMemory(bytes(40_000_000))
    asyncio.run(remote_fingerprint(reader, 40_000_000, ""))
    assert WHOLE_BYTES - CHECK_BYTES < reader.num_bytes <= WHOLE_BYTES + BLOCK_BYTES


async def test_two_addresses_without_validators_are_one_recording(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path
) -> None:
    """Equal content under other names, queries and users has one fingerprint."""
    server.habits.etag = server.habits.last_modified = None
    one, other = server.add(LARGE, "/a.bin"), server.add(LARGE, "/b/c.bin")
    addresses = [one, other, f"{one}?sig=1", f"{one}?sig=2#x", other.replace("//", "//user:pw@")]
    found = {(await open_source(url, policy, tmp_path)).fingerprint for url in addresses}
    assert len(found) == 1


async def read_nine(source: Source, policy: SourcePolicy) -> None:
    """Read a little of a source."""
    await open_reader(source, policy).read(0, 9)


@pytest.mark.parametrize("pinned", [True, False])
async def test_a_change_that_no_answer_gave_away_is_found_at_the_end(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path, pinned: bool
) -> None:
    """Without ETag and date a mixture could be read; the look at the end finds it."""
    if not pinned:
        server.habits.etag = server.habits.last_modified = None
    source = await open_source(server.add(LARGE), policy, tmp_path)
    asked = len(server.requests)
    await require_unchanged(source, policy)
    assert (len(server.requests) == asked) == pinned
    server.add(LARGE[::-1])
    look = require_unchanged if not pinned else read_nine
    with pytest.raises(SourceChangedError):
        await look(source, policy)


async def test_a_source_that_is_gone_at_the_end_was_read_all_the_same(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path
) -> None:
    """A link that expires after the last read does not cost the transcript."""
    server.habits.etag = server.habits.last_modified = None
    source = await open_source(f"{server.add(LARGE)}?sig=1", policy, tmp_path)
    server.habits.admitted = set()
    await require_unchanged(source, policy)


def _append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(2_000_000)
        file.write(b"other")
    later = path.stat().st_mtime_ns + 1_000_000
    os.utime(path, ns=(later, later))


def _replace(path: Path) -> None:
    """Put another file in its place that has its length and its times."""
    times = path.stat()
    other = path.with_suffix(".new")
    other.write_bytes(LARGE[::-1])
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.replace(path)


CHANGES: dict[str, tuple[Callable[[Path], object], type[SourceError]]] = {
    "appended": (_append, SourceChangedError),
    "overwritten": (_overwrite, SourceChangedError),
    "replaced by its like": (_replace, SourceChangedError),
    "truncated": (lambda path: os.truncate(path, 1_000_000), SourceChangedError),
    "removed": (Path.unlink, SourceNotFoundError),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_file_that_changes_while_it_is_read(
    policy: SourcePolicy, tmp_path: Path, change: str
) -> None:
    """After a change no byte is returned, be it one that was there before."""
    path = tmp_path / "talk.bin"
    path.write_bytes(LARGE)
    source = await open_source(str(path), policy, tmp_path)
    reader = open_reader(source, policy)
    assert await reader.read(0, 10) == LARGE[:10]
    apply, kind = CHANGES[change]
    apply(path)
    for start in (0, 2_000_000, 2_600_000):
        with pytest.raises(kind):
            await reader.read(start, start + 3)
    await reader.close()
    if apply is _replace:
        return  # whoever opens it now can only tell by length and time, and these are equal
    async with serve(source, policy) as served:
        with pytest.raises(kind):
            await served.read(0, 1_000_000)


async def test_a_file_that_is_still_written_is_not_opened(
    policy: SourcePolicy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recording that grows while it is looked at is an error that says to wait."""
    path = tmp_path / "talk.bin"
    path.write_bytes(LARGE)
    real = local_file.file_content

    def grow(file: object) -> ContentHash:
        _append(path)
        return real(file)  # type: ignore[arg-type]

    monkeypatch.setattr(local_file, "file_content", grow)
    with pytest.raises(SourceChangedError, match="is being written"):
        await open_source(str(path), policy, tmp_path)
