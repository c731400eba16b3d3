"""A folder behind an fsspec URL: an object store, or another machine's file system.

One file system of fsspec's serves a store for the whole process. fsspec itself makes one per
thread, and for S3 that is a second of loading each; threads may share one, since its requests run
on a loop of fsspec's own.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import uuid4

from longform.errors import OutputError
from longform.extras import install_hint
from longform.net.policy import redact, scheme_of
from longform.storage.store_errors import EXTRAS, store_errors

# A put of a whole object shows the old object or the new one, never a part: one request is
# enough, and a move there would be a copy and a deletion. Elsewhere a file is moved into place.
_ATOMIC_PUT = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "memory"})
# They refuse a put of a name that another writer has taken meanwhile.
_EXCLUSIVE_PUT = frozenset({"s3", "s3a", "gs", "gcs"})
_STORES = frozenset({*EXTRAS, "memory"})
MAX_STORES = 64  # file systems that a process keeps


@dataclass(frozen=True, slots=True)
class RemoteFolder:
    """A prefix in an object store or a folder of a remote file system."""

    url: str

    def check(self) -> None:
        """Find out whether the package for this kind of URL is installed; sends no request.

        Raises:
            OutputError: naming what to install.
        """
        from fsspec import get_filesystem_class
        from fsspec.registry import known_implementations

        scheme = scheme_of(self.url)
        # The others of fsspec name a host, or another place inside the URL, and would be led
        # anywhere by any user who may start a run; a store that the operator registers is welcome.
        if "::" in self.url or (scheme in known_implementations and scheme not in _STORES):
            raise OutputError(
                f"cannot write to {redact(self.url)}: output goes to folders and object stores; "
                f"name a path or one of {', '.join(f'{name}://' for name in sorted(EXTRAS))}"
            )
        try:
            get_filesystem_class(scheme)
        except ImportError as error:
            extra = EXTRAS.get(scheme)
            hint = install_hint(extra) if extra else _one_line(error)
            raise OutputError(f"cannot write to {redact(self.url)}: {hint}") from error
        except ValueError as error:
            message = f"cannot write to {redact(self.url)}: no kind of store is named {scheme!r}"
            raise OutputError(message) from error

    def address(self, name: str) -> str:
        """Return the URL of a file here, without credentials."""
        return redact(self._url_of(name))

    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes | None:
        """Return the bytes `[start, end)` of a file, or None where there is none."""
        with self._as_output_error(name):
            store, path = self._store(name)
            try:
                return bytes(store.cat_file(path, start=start, end=end))
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
        """Remove a file, or a folder with all that is in it; that it is gone is no error.

        Raises:
            OutputError: the store does not let it go.
        """
        with self._as_output_error(name), suppress(FileNotFoundError):
            store, path = self._store(name)
            store.invalidate_cache()
            if store.isdir(path):
                store.rm(path, recursive=True)
            else:
                store.rm_file(path)

    def names(self) -> list[str]:
        """Return what lies directly in the folder, in order; nothing where it is missing."""
        with self._as_output_error(""):
            store, path = self._store("")
            store.invalidate_cache()
            try:
                found = store.ls(path, detail=False)
            except FileNotFoundError:
                return []
        return sorted(str(each).rstrip("/").rpartition("/")[2] for each in found)

    def sizes(self, name: str = "") -> dict[str, int]:
        """Return the files below a folder here, with their sizes in bytes, by name."""
        with self._as_output_error(name):
            store, root = self._store("")
            store.invalidate_cache()
            found = store.find(f"{root.rstrip('/')}/{name}".rstrip("/"), detail=True)
        return {
            str(path).removeprefix(root).lstrip("/"): int(status.get("size") or 0)
            for path, status in found.items()
        }

    def modified_unix_sec(self, name: str) -> float | None:
        """Return when a file was written, by the clock of the store; None where it is gone."""
        with self._as_output_error(name):
            store, path = self._store(name)
        try:
            return float(store.modified(path).timestamp())
        except store_errors():  # gone, or a store without such a time
            return None

    def _url_of(self, name: str) -> str:
        return f"{self.url.rstrip('/')}/{name}".rstrip("/")

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
