"""A local folder as the place of output files."""

import errno
import os
import re
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

from longform.errors import OutputError
from longform.net.policy import printable
from longform.process_identity import process_start, this_machine

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

    def remove(self, name: str) -> None:
        """Remove a file; that it is gone already is no error.

        Raises:
            OutputError: the folder does not let it go.
        """
        with _as_output_error(self.folder / name):
            (self.folder / name).unlink(missing_ok=True)

    @contextmanager
    def _written_beside(self, name: str, content: bytes) -> Iterator[Path]:
        # Not from tempfile: those are readable by their owner only, and would stay so.
        temporary = self.folder / unfinished_name(name)
        with _as_output_error(self.folder / name):
            self.folder.mkdir(parents=True, exist_ok=True)
            remove_unfinished(self.folder, name)
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


# Files that are being written: named so that what a killed writer has left can be told apart.
#
# The name says which file it is to become, and which process of which machine writes it. The next
# writer of the same file removes what a process that is gone has left, and nothing else.


UNFINISHED = re.compile(
    r"\.longform-(?P<target>[0-9a-f]{16})-(?P<machine>[0-9a-f]{16})-"
    r"(?P<pid>[0-9]+)-(?P<start>[0-9]+)-[0-9a-f]{8}\.tmp"
)


def unfinished_name(name: str) -> str:
    """Return a new name under which this process writes the file `name` before it is whole."""
    pid = os.getpid()
    start = process_start(pid) or 0
    writer = f"{_digest(this_machine())}-{pid}-{start}"
    return f".longform-{_digest(name)}-{writer}-{secrets.token_hex(4)}.tmp"


def remove_unfinished(folder: Path, name: str) -> None:
    """Remove what writers of the file `name` that were killed on this machine have left."""
    for path in folder.glob(f".longform-{_digest(name)}-{_digest(this_machine())}-*.tmp"):
        match = UNFINISHED.fullmatch(path.name)
        if match and process_start(int(match["pid"])) != match["start"]:
            with suppress(OSError):  # another process has just done the same
                path.unlink()


def _digest(text: str) -> str:
    return sha256(os.fsencode(text)).hexdigest()[:16]
