"""A disk that is full: an error that names the folder, and no half files."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from longform.errors import OutputError
from longform.media.spool import WorkLimits, open_run
from longform.pipeline.chunk_claims import ChunkClaims
from longform.storage.local_folder import LocalFolder
from tests.support.small_disk import small_disk

DISK_BYTES = 256 * 1024
TOO_MUCH = bytes(2 * DISK_BYTES)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of a quarter of a MB."""
    with small_disk(tmp_path / "disk", DISK_BYTES) as folder:
        yield folder


def files(folder: Path) -> list[str]:
    """Return the files below a folder."""
    return [path.name for path in folder.rglob("*") if path.is_file()]


def test_a_store_and_an_output_keep_what_they_had(disk: Path) -> None:
    """A write that does not fit names the folder, says why, and leaves the old file alone."""
    place = LocalFolder(disk)
    place.write("talk.json", b"old")
    with pytest.raises(OutputError, match=f"{disk}.*the disk is full"):
        place.write("talk.json", TOO_MUCH)
    with pytest.raises(OutputError, match="the disk is full"):
        place.create("new.json", TOO_MUCH)
    assert files(disk) == ["talk.json"]
    assert place.read("talk.json") == b"old"


def test_a_folder_below_leaves_no_part(disk: Path) -> None:
    """What is put there whole is there whole, or not at all."""
    with pytest.raises(OutputError, match=str(disk)):
        LocalFolder(disk).write("run-0123456789abcdef/file", TOO_MUCH)
    assert files(disk) == []


async def test_a_run_that_fills_the_disk_gives_it_back(disk: Path) -> None:
    """Audio that does not fit is an error, and all of the run's audio is removed."""
    limits = WorkLimits(max_bytes=2**30, reserve_bytes=0)
    async with open_run(str(disk), limits) as run:
        writer = run.writer("000001.s16")
        with pytest.raises(OutputError, match=str(disk)):
            await writer.write(np.ones(DISK_BYTES, np.int16))
    assert files(disk) == []


async def test_a_claim_that_cannot_be_written_is_an_error(disk: Path) -> None:
    """A chunk whose result could not be kept is not computed."""
    (disk / "filler").write_bytes(bytes(DISK_BYTES - 8 * 1024))
    with pytest.raises(OSError, match="No space"):
        (disk / "rest").write_bytes(bytes(DISK_BYTES))
    with pytest.raises(OutputError, match="the disk is full"):
        async with ChunkClaims(str(disk)).hold("ab" * 32, "run", "host:1"):
            pass
    assert sorted(files(disk)) == ["filler", "rest"]
