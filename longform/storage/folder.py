"""Where files are kept: a local folder or an fsspec URL, behind one protocol."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from longform.errors import OutputError
from longform.net.policy import redact, scheme_of

LOCAL = frozenset({"", "file"})  # the schemes of folders on this machine


class Folder(Protocol):
    """A folder with files, which may lie in folders below it: `name` is a relative path.

    Every method blocks, and raises OutputError, in one line for people.
    """

    def check(self) -> None:
        """Find out, as cheaply as that can be known, whether files can be written here."""
        ...

    def address(self, name: str) -> str:
        """Return the absolute path or the URL of a file here, without credentials."""
        ...

    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes | None:
        """Return the bytes `[start, end)` of a file, or None where there is none."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Write a file so that its readers see all of the old one or all of the new one."""
        ...

    def create(self, name: str, content: bytes) -> bool:
        """Write a file unless there is one of that name; return whether it was written."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, or a folder with all that is in it; that it is gone is no error."""
        ...

    def names(self) -> list[str]:
        """Return what lies directly in the folder, in order; nothing where it is missing."""
        ...

    def sizes(self, name: str = "") -> Mapping[str, int]:
        """Return the files below a folder here, with their sizes in bytes, by name."""
        ...

    def modified_unix_sec(self, name: str) -> float | None:
        """Return when a file was written, by the clock of the store; None where it is gone."""
        ...


def is_local(target: str) -> bool:
    """Tell whether a path or a URL names a folder of this machine."""
    return scheme_of(target) in LOCAL


def open_folder(target: str) -> Folder:
    """Return the folder that a path or a URL names; touches nothing.

    Raises:
        OutputError: a file:// URL that names another host, or a name that is not UTF-8.
    """
    if not target.isascii() and not _is_utf8(target):
        raise OutputError(f"cannot write to {redact(target)}: its name is not UTF-8")
    if is_local(target):
        from longform.storage.local_folder import LocalFolder

        return LocalFolder(local_path(target))
    from longform.storage.remote_folder import RemoteFolder

    return RemoteFolder(target)


def local_path(target: str) -> Path:
    """Return the absolute path that a path or a file:// URL names.

    Raises:
        OutputError: the URL names another host.
    """
    if not scheme_of(target):
        return Path(target).absolute()
    parts = urlsplit(target)
    if parts.netloc not in ("", "localhost"):
        raise OutputError(f"cannot write to {redact(target)}: that is another host")
    return Path(unquote(parts.path)).absolute()


def _is_utf8(text: str) -> bool:
    """Tell whether the files that list their own addresses can hold this one."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
