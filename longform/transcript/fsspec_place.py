"""A folder at an fsspec URL as the place of output files."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from longform.errors import OutputError
from longform.media.file_systems import open_file_system
from longform.media.object_errors import EXTRAS, store_errors
from longform.media.policy import redact, scheme_of

# A put of a whole object shows the old object or the new one, never a part: one request is
# enough, and a move there would be a copy and a deletion. Elsewhere a file is moved into place.
_ATOMIC_PUT = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "memory"})
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

    def remove(self, name: str) -> None:
        """Remove a file; that there is none is no error."""
        with self._as_output_error(name):
            store, path = self._store(name)
            with suppress(FileNotFoundError):
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
