"""A folder of this machine: files appear whole, and killed writers leave nothing for good."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from longform.errors import OutputError
from longform.net.policy import printable
from longform.storage.temp_files import remove_left_behind, temp_name

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
# What file systems without hard links answer; shares and USB sticks are such.
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


@dataclass(frozen=True, slots=True)
class LocalFolder:
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

    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes | None:
        """Return the bytes `[start, end)` of a file, or None where there is none."""
        with _as_output_error(self.folder / name):
            try:
                with (self.folder / name).open("rb") as file:
                    file.seek(start or 0)
                    return file.read(-1 if end is None else end - (start or 0))
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes) -> None:
        """Write a file beside its place, bring it to the disk, and put it into its place.

        Raises:
            OutputError: the file cannot be written; no part of it stays behind.
        """
        path = self.folder / name
        with self._written_beside(name, content) as temporary:
            temporary.replace(path)

    def create(self, name: str, content: bytes) -> bool:
        """Write a file unless there is one of that name; return whether it was written.

        Raises:
            OutputError: the file cannot be written.
        """
        path = self.folder / name
        with self._written_beside(name, content) as temporary:
            try:
                path.hardlink_to(temporary)  # the whole file at once, and only one can
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                return self._create_slowly(path, content)
            finally:
                temporary.unlink()
        return True

    def _create_slowly(self, path: Path, content: bytes) -> bool:
        # Readers may see a part of it, for a moment.
        try:
            with path.open("xb") as file:
                file.write(content)
        except FileExistsError:
            return False
        return True

    def append(self, name: str, content: bytes) -> None:
        """Add to a file, which is made where it is missing.

        Raises:
            OutputError: the folder cannot take it.
        """
        path = self.folder / name
        with _as_output_error(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(content)

    def rename(self, old: str, new: str) -> None:
        """Give a file another name.

        Raises:
            OutputError: that cannot be done.
        """
        with _as_output_error(self.folder / new):
            (self.folder / old).replace(self.folder / new)

    def remove(self, name: str) -> None:
        """Remove a file, or a folder with all that is in it; that it is gone is no error.

        Raises:
            OutputError: the folder does not let it go.
        """
        path = self.folder / name
        with _as_output_error(path), suppress(FileNotFoundError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def names(self) -> list[str]:
        """Return what lies directly in the folder, in order; nothing where it is missing."""
        with _as_output_error(self.folder):
            try:
                return sorted(path.name for path in self.folder.iterdir())
            except FileNotFoundError:
                return []

    def sizes(self, name: str = "") -> dict[str, int]:
        """Return the files below a folder here, with their sizes in bytes, by name."""
        found = {}
        with _as_output_error(self.folder / name):
            for path in sorted((self.folder / name).rglob("*")):
                with suppress(FileNotFoundError):  # another process has just removed it
                    if path.is_file():
                        found[path.relative_to(self.folder).as_posix()] = path.stat().st_size
        return found

    def modified_unix_sec(self, name: str) -> float | None:
        """Return when a file was written, by the clock of the disk; None where it is gone."""
        try:
            return (self.folder / name).stat().st_mtime
        except OSError:
            return None

    def free_bytes(self) -> int:
        """Return how much the disk still takes.

        Raises:
            OutputError: the folder cannot be looked at.
        """
        with _as_output_error(self.folder):
            parents = (self.folder, *self.folder.parents)
            return shutil.disk_usage(next(path for path in parents if path.exists())).free

    @contextmanager
    def _written_beside(self, name: str, content: bytes) -> Iterator[Path]:
        # Not from tempfile: those are readable by their owner only, and would stay so.
        path = self.folder / name
        temporary = path.with_name(temp_name(path.name))
        with _as_output_error(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            remove_left_behind(path)
            try:
                with temporary.open("xb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                yield temporary
            except BaseException:
                with suppress(OSError):
                    temporary.unlink()
                raise


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
