"""Writing the files, on every kind of place."""

import errno
import json
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec
import pytest
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem

from longform.errors import OutputError, ParameterError
from longform.storage.folder import open_folder
from longform.transcript.formats import FORMATS
from longform.transcript.formats.rendering import Rendering
from longform.transcript.write import check_writable, write_outputs
from tests.support.s3_server import BUCKET
from tests.support.transcripts import output_of, segment_of

OURS = output_of([segment_of(" ours", 0, 1)], fingerprint="aaaaaaaa11")
OTHER = output_of([segment_of(" other", 0, 2)], fingerprint="bbbbbbbb22")


class ScratchFileSystem(DirFileSystem):
    """A store whose puts are not atomic: fsspec's local one, below a folder."""

    protocol = "scratch"
    root = ""

    def __init__(self, **options: Any) -> None:
        super().__init__(path=self.root, fs=LocalFileSystem(), **options)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix("scratch://").strip("/")


@pytest.fixture(params=["folder", "file-url", "memory", "scratch", "s3"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return a new place of each kind."""
    if request.param == "scratch":
        fsspec.register_implementation("scratch", ScratchFileSystem, clobber=True)
        ScratchFileSystem.root = str(tmp_path)
        ScratchFileSystem.clear_instance_cache()
    if request.param == "s3":
        request.getfixturevalue("s3")
    places = {
        "folder": str(tmp_path / "a b" / "c"),
        "file-url": (tmp_path / "a b").as_uri(),
        "memory": f"memory://{uuid4().hex}",
        "scratch": f"scratch://{uuid4().hex}/er",
        "s3": f"s3://{BUCKET}/a b/c",
    }
    yield places[request.param]
    fsspec.filesystem("memory").store.clear()


def content(target: str, name: str) -> str:
    """Return a file that must be there."""
    found = open_folder(target).read(name)
    assert found is not None, name
    return found.decode()


def test_every_format_is_written(target: str) -> None:
    """All files are where `files` says, in the order asked for, and hold what was rendered."""
    check_writable(target)
    written = write_outputs(OURS, ["txt", "json", "srt", "vtt", "tsv"], target)
    assert [Path(file).name for file in written.files] == [
        f"talk.{name}" for name in ("txt", "json", "srt", "vtt", "tsv")
    ]
    for file, name in zip(written.files, ("txt", "json", "srt", "vtt", "tsv"), strict=True):
        assert content(target, Path(file).name) == FORMATS[name].render(Rendering(written))
    assert json.loads(content(target, "talk.json"))["files"] == list(written.files)


def test_the_same_recording_replaces_its_files(target: str) -> None:
    """A second run of a recording leaves one set of files, with the newer text."""
    write_outputs(OURS, ["json", "txt"], target)
    again = output_of([segment_of(" newer", 0, 1)], fingerprint="aaaaaaaa11")
    written = write_outputs(again, ["json", "txt"], target)
    assert [Path(file).name for file in written.files] == ["talk.json", "talk.txt"]
    assert content(target, "talk.txt") == "newer\n"


def test_a_stem_that_is_given_replaces_whatever_has_it(
    target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of any recording; the JSON file is the last, so that half a replacement can be told."""
    write_outputs(OTHER, ["json", "txt"], target, "place")
    place, order = type(open_folder(target)), list[str]()
    write = place.write

    def noted(self: Any, name: str, content: bytes) -> None:
        order.append(name)
        write(self, name, content)

    monkeypatch.setattr(place, "write", noted)
    written = write_outputs(OURS, ["json", "txt", "diarized_json"], target, "place")
    assert order[-1] == "place.json"
    assert [Path(file).name for file in written.files] == [
        "place.json",
        "place.txt",
        "place.diarized.json",
    ]
    assert content(target, "place.txt") == "ours\n"


def test_a_file_can_be_removed(target: str) -> None:
    """And that it is gone already is no error."""
    place = open_folder(target)
    place.write("talk.txt", b"x")
    place.remove("talk.txt")
    assert place.read("talk.txt") is None
    place.remove("talk.txt")


@pytest.mark.parametrize("first", [["json", "txt"], ["txt"], ["srt"]])
@pytest.mark.parametrize("second", [["json", "txt"], ["txt"], ["json"]])
def test_another_recording_keeps_its_files(
    target: str, first: list[str], second: list[str]
) -> None:
    """Two recordings of one name, in whatever formats, leave both sets of files whole."""
    before = write_outputs(OTHER, first, target)
    texts = [content(target, Path(file).name) for file in before.files]
    written = write_outputs(OURS, second, target)
    assert [Path(file).name for file in written.files] == [
        f"talk-aaaaaaaa.{name}" for name in second
    ]
    assert [content(target, Path(file).name) for file in before.files] == texts
    assert write_outputs(OURS, second, target).files == written.files


def test_the_same_recording_is_known_by_its_text(target: str) -> None:
    """Without a JSON file, files that are just what would be written are the recording's own."""
    write_outputs(OURS, ["txt"], target)
    assert Path(write_outputs(OURS, ["txt", "srt"], target).files[0]).name == "talk.txt"


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"provenance": 1}', "[" * 100_000, "\0"])
def test_a_file_of_somebody_else_is_not_touched(target: str, record: str) -> None:
    """A JSON file that is not ours stays as it is."""
    open_folder(target).write("talk.json", record.encode())
    write_outputs(OURS, ["json"], target)
    assert content(target, "talk.json") == record
    assert "aaaaaaaa" in content(target, "talk-aaaaaaaa.json")


def test_unknown_formats_are_refused(tmp_path: Path) -> None:
    """A format that there is not is a parameter at fault, and nothing is written."""
    with pytest.raises(ParameterError, match="docx"):
        write_outputs(OURS, ["txt", "docx"], str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_paths_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative folder gives absolute paths."""
    monkeypatch.chdir(tmp_path)
    assert write_outputs(OURS, ["txt"], "out").files == (str(tmp_path / "out" / "talk.txt"),)


def test_files_are_readable_by_others(tmp_path: Path) -> None:
    """A file gets the mode that any new file gets here."""
    (tmp_path / "plain").touch()
    [file] = write_outputs(OURS, ["txt"], str(tmp_path)).files
    assert stat.S_IMODE(Path(file).stat().st_mode) == stat.S_IMODE(
        (tmp_path / "plain").stat().st_mode
    )


def test_a_reader_sees_all_or_nothing(tmp_path: Path) -> None:
    """While a file is replaced again and again, every read finds one whole version of it."""
    place = open_folder(str(tmp_path))
    versions = [bytes([letter]) * 300_000 for letter in b"ab"]
    place.write("x", versions[0])
    seen = []
    writer = threading.Thread(target=lambda: [place.write("x", v) for v in versions * 5])
    writer.start()
    while writer.is_alive():
        seen.append(place.read("x"))
    writer.join()
    assert all(one in versions for one in seen)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize(
    ("number", "advice"), [(errno.ENOSPC, "disk is full"), (errno.EIO, "error")]
)
def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
) -> None:
    """When the disk fills up, the error is one clear line, and the old file is all there is."""
    write_outputs(OURS, ["txt"], str(tmp_path))

    def full(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match=advice) as caught:
        write_outputs(OURS, ["txt"], str(tmp_path))
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["talk.txt"]
    assert (tmp_path / "talk.txt").read_text() == "ours\n"


def test_a_failed_put_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file cannot be moved into its place in a store, no part of it stays behind."""
    fsspec.register_implementation("scratch", ScratchFileSystem, clobber=True)
    ScratchFileSystem.root = str(tmp_path)
    ScratchFileSystem.clear_instance_cache()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("no\nmoving")

    monkeypatch.setattr(ScratchFileSystem, "mv", refuse)
    with pytest.raises(OutputError, match="no moving"):
        write_outputs(OURS, ["txt"], "scratch://d")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def _a_file(folder: Path) -> Path:
    (folder / "file").write_text("x")
    return folder / "file"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (lambda folder: str(_a_file(folder)), "is a file"),
        (lambda folder: str(_a_file(folder) / "below"), "is a file"),
        (lambda _: "/proc/longform-cannot-be", "cannot write to /proc"),
        (lambda folder: str(folder / ("x" * 300)), "too long"),
        (lambda folder: f"{folder}/a\0b", "null"),
        (lambda _: "  ", "name one"),
        (lambda _: "https://user:secret@example.org/out", "folders and object stores"),
        (lambda _: "nowhere://bucket/out", "'nowhere'"),
    ],
)
def test_places_that_cannot_be_written(tmp_path: Path, bad: Any, reason: str) -> None:
    """Each kind of bad place is one clear line, before the work and at its end."""
    for attempt in (check_writable, lambda place: write_outputs(OURS, ["txt"], place)):
        with pytest.raises(OutputError, match=reason) as caught:
            attempt(bad(tmp_path))
        assert "\n" not in str(caught.value)
        assert "secret" not in str(caught.value)


def test_a_folder_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system says no, the message says so (root is never told no: so it is faked)."""

    def refuse(**_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(OutputError, match="permission denied"):
        check_writable(str(tmp_path))


@pytest.mark.parametrize(
    ("url", "extra"), [("s3://b/x", "s3"), ("gs://b", "gcs"), ("az://b", "azure")]
)
def test_a_store_without_its_package(monkeypatch: pytest.MonkeyPatch, url: str, extra: str) -> None:
    """A URL whose package is missing gets the command that installs it."""

    def missing(_scheme: str) -> None:
        raise ImportError("Install it")

    monkeypatch.setattr("fsspec.get_filesystem_class", missing)
    with pytest.raises(OutputError, match=rf"pip install 'longform\[{extra}\]'"):
        check_writable(url)


def test_checking_leaves_nothing_behind(tmp_path: Path) -> None:
    """The check makes the folder, and no file that stays in it."""
    check_writable(str(tmp_path / "new"))
    assert list((tmp_path / "new").iterdir()) == []
