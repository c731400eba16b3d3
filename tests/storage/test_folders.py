"""The contract of every folder: one suite for a disk, a file system of fsspec's, and S3."""

import secrets
from pathlib import Path

import pytest

from longform.storage.folder import Folder, open_folder
from tests.support.s3_server import BUCKET


@pytest.fixture(params=["local", "memory", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """Each kind of folder, empty."""
    if request.param == "local":
        return open_folder(str(tmp_path / "folder"))
    if request.param == "memory":
        return open_folder(f"memory://{secrets.token_hex(4)}/folder")
    request.getfixturevalue("s3")
    return open_folder(f"s3://{BUCKET}/folder")


def test_what_is_written_is_read(folder: Folder) -> None:
    """Whole, in part, and as it was written last; what is not there reads as None."""
    assert folder.read("a") is None
    folder.write("a", b"old")
    folder.write("a", b"0123456789")
    assert folder.read("a") == b"0123456789"
    assert folder.read("a", 2, 5) == b"234"
    assert folder.address("a").endswith("/folder/a")


def test_a_file_is_created_once(folder: Folder) -> None:
    """The second writer of a name is told, and changes nothing."""
    assert folder.create("a", b"first")
    assert not folder.create("a", b"second")
    assert folder.read("a") == b"first"


def test_what_lies_there_is_listed(folder: Folder) -> None:
    """Names of the folder itself, sizes of everything below; nothing where there is no folder."""
    assert folder.names() == []
    assert folder.sizes() == {}
    folder.write("b", b"12")
    folder.write("run/a", b"123")
    assert folder.names() == ["b", "run"]
    assert folder.sizes() == {"b": 2, "run/a": 3}
    assert folder.sizes("run") == {"run/a": 3}


def test_files_and_folders_are_removed(folder: Folder) -> None:
    """A folder goes with all that is in it; what is gone already is no error."""
    folder.write("b", b"12")
    folder.write("run/a", b"123")
    for name in ("run", "run", "none"):
        folder.remove(name)
    assert folder.sizes() == {"b": 2}
    folder.remove("b")
    assert folder.names() == []


def test_a_file_has_a_time(folder: Folder) -> None:
    """The store says when a file was written, and nothing of one that is not there."""
    folder.write("run/a", b"1")
    assert (folder.modified_unix_sec("run/a") or 0.0) > 1_700_000_000
    assert folder.modified_unix_sec("run/b") is None
