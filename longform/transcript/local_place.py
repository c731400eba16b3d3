"""A local folder as the place of output files."""

import errno
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from uuid import uuid4

from longform.errors import OutputError
from longform.media.policy import printable

_ADVICE: Mapping[int, str] = MappingProxyType(
    {
        errno.EEXIST: "it is a file, not a folder; name a folder",
        errno.ENOTDIR: "part of the path is a file, not a folder; name a folder",
        errno.EACCES: "permission denied; allow writing there or name another folder",
        errno.EPERM: "permission denied; allow writing there or name another folder",
        errno.EROFS: "the file system is read-only; name another folder",
        errno.ENOSPC: "the disk is full; free some space or name another folder",
        errno.EDQUOT: "the disk quota is used up; free some space or name another folder",
        errno.ENAMETOOLONG: "the name is too long; name a shorter one",
        errno.EISDIR: "there is a folder of that name; move it away",
    }
)


@dataclass(frozen=True, slots=True)
class LocalPlace:
    """A folder on this machine; made, with its parents, where it is missing."""

    folder: Path

    def check(self) -> None:
        """Make the folder and a temporary file in it.

        Raises:
            OutputError: one line that says what is in the way.
        """
        with _as_output_error(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder) as probe:
                probe.write(b"?")

    def address(self, name: str) -> str:
        """Return the absolute path of a file here."""
        return str(self.folder / name)

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, or None where there is none."""
        with _as_output_error(self.folder / name):
            try:
                return (self.folder / name).read_bytes()
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes) -> None:
        """Write a file beside its place, bring it to the disk, and put it into its place.

        Raises:
            OutputError: the file cannot be written; no part of it stays behind.
        """
        path = self.folder / name
        # Not from tempfile: those are readable by their owner only, and would stay so.
        temporary = self.folder / f".longform-{uuid4().hex}.tmp"
        with _as_output_error(path):
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("xb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(path)
            except BaseException:
                with suppress(OSError):
                    temporary.unlink()
                raise

    def remove(self, name: str) -> None:
        """Remove a file; that there is none is no error."""
        with _as_output_error(self.folder / name):
            (self.folder / name).unlink(missing_ok=True)


@contextmanager
def _as_output_error(path: Path) -> Iterator[None]:
    try:
        yield
    except ValueError as error:  # a NUL, or a name that the file system's encoding cannot hold
        raise OutputError(
            f"cannot write to {printable(str(path))}: {error}; name another folder"
        ) from error
    except OSError as error:
        reason = _ADVICE.get(error.errno or 0) or f"{error.strerror or error}; name another folder"
        raise OutputError(f"cannot write to {printable(str(path))}: {reason}") from error
