"""Where the work store lies: a local folder or an fsspec URL, behind the few calls it needs."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from longform.errors import InvariantError, OutputError, SourceUnavailableError
from longform.media.file_systems import open_file_system
from longform.media.object_errors import store_errors
from longform.media.policy import redact, scheme_of
from longform.transcript.fsspec_place import FsspecPlace

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
