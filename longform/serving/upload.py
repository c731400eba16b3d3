"""A multipart form: small fields in memory, its one file on disk."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from longform.serving.api_error import ApiError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FILE_FIELD = "file"
MAX_FIELDS = 64
MAX_FIELD_BYTES = 65_536
MAX_HEADER_BYTES = 8_192  # of one part
MAX_BOUNDARY_BYTES = 256  # RFC 2046 allows 70


@dataclass(frozen=True, slots=True)
class Upload:
    """What came with a request. `path` lies in the folder that was given for it."""

    fields: tuple[tuple[str, str], ...]
    path: Path
    name: str  # as the client calls the file
    num_bytes: int


async def receive_upload(content_type: str, chunks: AsyncIterator[bytes], folder: Path) -> Upload:
    """Read a form to its end; the file goes to `folder`, whose owner removes it.

    Raises:
        ApiError: no form, a damaged or an excessive one, or one without a file.
    """
    form = _Form(folder)
    try:
        parser = MultipartParser(_boundary(content_type), form.callbacks())
        async for chunk in chunks:
            parser.write(chunk)
        parser.finalize()
    except FormParserError as error:
        raise _bad_form("the form is damaged") from error
    finally:
        form.close()
    if form.path is None or not form.ended:
        raise _bad_form("the form has no file", param=FILE_FIELD)
    return Upload(tuple(form.fields), form.path, form.file_name, form.num_bytes)


def _boundary(content_type: str) -> bytes:
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 0 < len(boundary) <= MAX_BOUNDARY_BYTES:
        raise _bad_form("the body is no form: send multipart/form-data")
    return boundary


def _bad_form(message: str, param: str | None = None) -> ApiError:
    return ApiError(400, "invalid_form", message, param=param)


@dataclass(slots=True)
class _Form:
    """Follows the events of the parser."""

    folder: Path
    fields: list[tuple[str, str]] = field(default_factory=list)
    path: Path | None = None
    file_name: str = ""
    num_bytes: int = 0
    ended: bool = False
    _file: BinaryIO | None = None
    _in_file: bool = False
    _name: str = ""
    _value: bytearray = field(default_factory=bytearray)
    _header: tuple[bytearray, bytearray] = field(default_factory=lambda: (bytearray(), bytearray()))
    _headers: dict[bytes, bytes] = field(default_factory=dict)
    _num_header_bytes: int = 0

    def callbacks(self) -> "MultipartCallbacks":
        """Return what the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._add_header(0, data[start:end]),
            "on_header_value": lambda data, start, end: self._add_header(1, data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": lambda data, start, end: self._add(data[start:end]),
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def close(self) -> None:
        """Close the file, if one is open."""
        if self._file is not None:
            self._file.close()

    def _begin(self) -> None:
        self._headers, self._num_header_bytes = {}, 0
        self._value.clear()

    def _add_header(self, which: int, data: bytes) -> None:
        self._num_header_bytes += len(data)
        if self._num_header_bytes > MAX_HEADER_BYTES:
            raise _bad_form("a part of the form has headers that are too long")
        self._header[which].extend(data)

    def _end_header(self) -> None:
        name, value = self._header
        self._headers[bytes(name).lower()] = bytes(value)
        name.clear()
        value.clear()

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        self._in_file = b"filename" in options or self._name == FILE_FIELD
        if not self._in_file:
            return
        if self._name != FILE_FIELD or self.path is not None:
            raise _bad_form(f"the form has another file than one as {FILE_FIELD!r}", FILE_FIELD)
        self.file_name = options.get(b"filename", b"").decode("utf-8", "replace")
        self.path = self.folder / "upload"
        self._file = self.path.open("wb")

    def _add(self, data: bytes) -> None:
        if self._in_file and self._file is not None:
            self._file.write(data)
            self.num_bytes += len(data)
            return
        self._value.extend(data)
        if len(self._value) > MAX_FIELD_BYTES:
            raise _bad_form(f"the field is longer than {MAX_FIELD_BYTES} bytes", self._name)

    def _end_part(self) -> None:
        if self._in_file:
            return
        self.fields.append((self._name, self._value.decode("utf-8", "replace")))
        if len(self.fields) > MAX_FIELDS:
            raise _bad_form(f"the form has more than {MAX_FIELDS} fields")

    def _end(self) -> None:
        self.ended = True
