"""Where files go: a local folder or an fsspec URL, behind one protocol."""

from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from longform.errors import OutputError
from longform.net.policy import redact, scheme_of


class OutputPlace(Protocol):
    """A folder that files can be written to. Every method raises OutputError, in one line."""

    def check(self) -> None:
        """Find out, as cheaply as that can be known, whether files can be written here."""
        ...

    def address(self, name: str) -> str:
        """Return the absolute path or the URL of a file here, without credentials."""
        ...

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, or None where there is none."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Write a file so that its readers see all of the old one or all of the new one."""
        ...

    def create(self, name: str, content: bytes) -> bool:
        """Write a file unless there is one of that name; return whether it was written."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file; that it is gone already is no error."""
        ...


def open_place(target: str) -> OutputPlace:
    """Return the place that a path or a URL names; touches nothing.

    Raises:
        OutputError: a file:// URL that names another host, or a name that is not UTF-8.
    """
    scheme = scheme_of(target)
    if not target.isascii() and not _is_utf8(target):
        raise OutputError(f"cannot write to {redact(target)}: its name is not UTF-8")
    if scheme in ("", "file"):
        from longform.storage.local_folder import LocalPlace

        parts = urlsplit(target)
        if scheme and parts.netloc not in ("", "localhost"):
            raise OutputError(f"cannot write to {redact(target)}: that is another host")
        return LocalPlace(Path(unquote(parts.path) if scheme else target).absolute())
    from longform.storage.remote_folder import FsspecPlace

    return FsspecPlace(target)


def _is_utf8(text: str) -> bool:
    """Tell whether the files that list their own addresses can hold this one."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
