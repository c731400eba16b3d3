"""A folder at an fsspec URL as the place of output files."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from longform.errors import InvariantError, OutputError, SourceUnavailableError
from longform.net.policy import redact, scheme_of
from longform.storage.store_errors import EXTRAS, store_errors

# A put of a whole object shows the old object or the new one, never a part: one request is
# enough, and a move there would be a copy and a deletion. Elsewhere a file is moved into place.
_ATOMIC_PUT = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "memory"})
# They refuse a put of a name that another writer has taken meanwhile.
_EXCLUSIVE_PUT = frozenset({"s3", "s3a", "gs", "gcs"})
_STORES = frozenset({*EXTRAS, "memory"})


@dataclass(frozen=True, slots=True)
class FsspecPlace:
    """A prefix in an object store or a folder of a remote file system."""

    url: str

    def check(self) -> None:
        """Find out whether the package for this kind of URL is installed; contacts nobody.

        Raises:
            OutputError: naming what to install.
        """
        from fsspec import get_filesystem_class
        from fsspec.registry import known_implementations

        scheme = scheme_of(self.url)
        # The others of fsspec name a host, or another place inside the URL, and would be led
        # anywhere by whoever may start a run; a store that the operator registers is welcome.
        if "::" in self.url or (scheme in known_implementations and scheme not in _STORES):
            raise OutputError(
                f"cannot write to {redact(self.url)}: output goes to folders and object stores; "
                f"name a path or one of {', '.join(f'{name}://' for name in sorted(EXTRAS))}"
            )
        try:
            get_filesystem_class(scheme)
        except ImportError as error:
            extra = EXTRAS.get(scheme)
            hint = f"pip install longform[{extra}]" if extra else _one_line(error)
            raise OutputError(f"cannot write to {redact(self.url)}: {hint}") from error
        except ValueError as error:
            message = f"cannot write to {redact(self.url)}: no kind of store is named {scheme!r}"
            raise OutputError(message) from error

    def address(self, name: str) -> str:
        """Return the URL of a file here, without credentials."""
        return redact(self._url_of(name))

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, or None where there is none."""
        with self._as_output_error(name):
            store, path = self._store(name)
            try:
                return bytes(store.cat_file(path))
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes) -> None:
        """Put the file in one request where that is atomic, else beside its place and move it.

        Raises:
            OutputError: the file cannot be written.
        """
        with self._as_output_error(name):
            store, path = self._store(name)
            if scheme_of(self.url) in _ATOMIC_PUT:
                store.pipe_file(path, content)
                return
            folder, _, _ = path.rpartition("/")
            temporary = f"{folder}/.longform-{uuid4().hex}.tmp"
            store.makedirs(folder, exist_ok=True)
            try:
                store.pipe_file(temporary, content)
                store.mv(temporary, path)
            except BaseException:
                with suppress(OSError):
                    store.rm_file(temporary)
                raise

    def create(self, name: str, content: bytes) -> bool:
        """Write a file unless there is one of that name; return whether it was written.

        One request decides where the store has such a request (S3, Google Cloud Storage).
        Elsewhere two writers that come together may both be told that they were first.

        Raises:
            OutputError: the file cannot be written.
        """
        with self._as_output_error(name):
            store, path = self._store(name)
            store.invalidate_cache()
            if store.exists(path):
                return False
            exclusive = scheme_of(self.url) in _EXCLUSIVE_PUT
            try:
                store.pipe_file(path, content, **({"mode": "create"} if exclusive else {}))
            except FileExistsError:
                return False
            return True

    def remove(self, name: str) -> None:
        """Remove a file; that it is gone already is no error.

        Raises:
            OutputError: the store does not let it go.
        """
        with self._as_output_error(name), suppress(FileNotFoundError):
            store, path = self._store(name)
            store.rm_file(path)

    def _url_of(self, name: str) -> str:
        return f"{self.url.rstrip('/')}/{name}"

    def _store(self, name: str) -> tuple[Any, str]:
        self.check()
        return open_file_system(self._url_of(name))

    @contextmanager
    def _as_output_error(self, name: str) -> Iterator[None]:
        try:
            yield
        except store_errors() as error:
            message = f"cannot write {self.address(name)}: {_one_line(error)}"
            raise OutputError(f"{message}; check the address and the permission") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


# fsspec file systems of this process, one per store.
#
# fsspec itself makes one per thread, and for S3 that is a second of loading each. Threads may
# share one: its requests run on a loop of fsspec's own.


MAX_STORES = 64


def open_file_system(url: str) -> tuple[Any, str]:
    """Return the file system behind a URL of the operator's, and the path in it.

    Raises:
        ImportError: the package for this kind of URL is not installed.
        ValueError: there is no such kind.
    """
    from fsspec.core import url_to_fs

    scheme, separator, rest = url.partition("://")
    if not separator or "::" in url:
        file_system, path = url_to_fs(url)
        return file_system, str(path)
    file_system = _shared(os.getpid(), f"{scheme}://{rest.partition('/')[0]}")
    return file_system, str(file_system._strip_protocol(url))


@lru_cache(MAX_STORES)
def _shared(pid: int, root: str) -> Any:
    from fsspec.core import url_to_fs

    return url_to_fs(root)[0]


# Where the work store lies: a local folder or an fsspec URL, behind the few calls it needs.


PARTIAL = ".partial"  # behind the name of a file that is not whole yet
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def is_local(root: str) -> bool:
    """Tell whether a root is a folder of this machine."""
    return scheme_of(root) in ("", "file")


def checked(component: str) -> str:
    """Return a path component that cannot leave its folder, or complain.

    Raises:
        InvariantError: it is no plain name.
    """
    if not _NAME.fullmatch(component):
        raise InvariantError(f"not a name for the work store: {component!r}")
    return component


class WorkFolder:
    """A root of the work store. Paths are given as components below it; all calls block."""

    def __init__(self, root: str) -> None:
        """Find the file system behind a root.

        Raises:
            OutputError: no such kind of store, or its package is not installed.
        """
        self.shown = redact(root)
        self.is_local = is_local(root)
        if not self.is_local:
            FsspecPlace(root).check()  # says which package is missing
        with self._writing():
            self._file_system, base = open_file_system(root)
        self._base = base.rstrip("/")

    def path(self, *components: str) -> str:
        """Return the path of a place below the root, as its file system writes it."""
        return "/".join((self._base, *map(checked, components)))

    def read(self, *components: str, start: int | None = None, end: int | None = None) -> bytes:
        """Return the bytes `[start, end)` of a file.

        Raises:
            SourceUnavailableError: it is not there, or cannot be read.
        """
        try:
            path = self.path(*components)
            return bytes(self._file_system.cat_file(path, start=start, end=end))
        except store_errors() as error:
            raise SourceUnavailableError(
                f"{components[-1]} in the work store {self.shown} cannot be read; "
                "every worker must reach the store"
            ) from error

    def write(self, content: bytes, *components: str) -> None:
        """Put a whole file in its place, in the place of an older one too.

        Raises:
            OutputError: the store cannot take it.
        """
        with self._writing():
            path = self.path(*components)
            if not self.is_local:
                self._file_system.pipe_file(path, content)  # one request: all of it or nothing
                return
            target = Path(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f"{target.name}{PARTIAL}")
            try:
                partial.write_bytes(content)
                partial.replace(target)
            except BaseException:
                with suppress(OSError):
                    partial.unlink()
                raise

    def append(self, content: bytes, *components: str) -> None:
        """Add to a file of a local folder, which is made where it is missing.

        Raises:
            OutputError: the folder cannot take it.
        """
        with self._writing():
            target = Path(self.path(*components))
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("ab") as file:
                file.write(content)

    def rename(self, old: tuple[str, ...], new: tuple[str, ...]) -> None:
        """Give a file of a local folder another name.

        Raises:
            OutputError: that cannot be done.
        """
        with self._writing():
            Path(self.path(*old)).replace(self.path(*new))

    def make(self, *components: str) -> Path:
        """Make a folder below a local root, and return it.

        Raises:
            OutputError: it cannot be made.
        """
        with self._writing():
            folder = Path(self.path(*components))
            folder.mkdir(parents=True, exist_ok=True)
            return folder

    def remove(self, *components: str) -> None:
        """Remove a file, or a folder with all that is in it; that it is gone is no error.

        Raises:
            OutputError: the store does not let it go.
        """
        path = self.path(*components)
        with self._writing(), suppress(FileNotFoundError):
            self._file_system.invalidate_cache()
            if self._file_system.exists(path):
                self._file_system.rm(path, recursive=True)

    def names(self) -> list[str]:
        """Return what lies directly below the root; nothing where there is no root yet."""
        with self._writing():
            self._file_system.invalidate_cache()
            try:
                found = self._file_system.ls(self._base, detail=False)
            except FileNotFoundError:
                return []
        return sorted(str(path).rstrip("/").rpartition("/")[2] for path in found)

    def files(self, *components: str) -> dict[str, int]:
        """Return the files below a place, with their sizes in bytes, by path."""
        with self._writing():
            found = self._file_system.find(self.path(*components), detail=True)
        return {str(path): int(status.get("size") or 0) for path, status in found.items()}

    def modified_unix_sec(self, path: str) -> float | None:
        """Return when a path was written, by the clock of the store; None where it is gone."""
        try:
            return float(self._file_system.modified(path).timestamp())
        except store_errors():  # gone, or a store without such a time
            return None

    def free_bytes(self) -> int | None:
        """Return how much a local folder's disk still takes; None for any other store."""
        if not self.is_local:
            return None
        base = Path(self._base)
        with self._writing():
            return shutil.disk_usage(next(p for p in (base, *base.parents) if p.exists())).free

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except store_errors() as error:
            raise OutputError(self.refusal(getattr(error, "strerror", None) or error)) from error

    def refusal(self, reason: object) -> str:
        """Return the line for people about a store that takes no more."""
        return (
            f"the work store {self.shown} cannot be used ({' '.join(str(reason).split())}): make "
            "room, or set LONGFORM_WORK_STORE to a place with 115 MB for every hour of audio"
        )
