"""The rows of a manifest, in each of its formats. What is wrong with one row stays with it."""

import codecs
import csv
import json
import re
from collections.abc import Iterator, Mapping
from io import StringIO
from typing import Any

from pydantic import Field

from longform.params import FrozenModel
from longform.reprocess.overrides import known_names, nested, unknown_name

SOURCE_NAMES = ("source", "media_url", "url", "path", "file", "audio_filepath")
DURATION_NAMES = ("duration_sec", "duration")
NAME = "name"
COMMENT = "#"

# The longer one first: UTF-32's begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NEWLINES = re.compile(r"\r\n|\r|\n")


class Row(FrozenModel):
    """One row: what it names, and the rest of it. `problem` is why it cannot be used."""

    line: int  # from 1
    source: str = Field("", repr=False)
    name: str | None = None
    params: Mapping[str, Any] = Field(default_factory=dict)
    known_sec: float | None = None
    problem: str | None = None


def decoded(content: bytes) -> str:
    """Return the text of a list: UTF-8, or what its byte order mark says.

    Raises:
        ValueError: it is neither; with the line.
    """
    mark, encoding = next((row for row in _MARKS if content.startswith(row[0])), (b"", "utf-8"))
    try:
        return content[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        line = 1 + content[: error.start].count(b"\n")
        raise ValueError(f"line {line} is not {encoding.upper()}; save it as UTF-8") from error


def txt_rows(text: str) -> Iterator[Row]:
    """Yield an address per line; blank lines and those that begin with # are left out."""
    for number, line in enumerate(_NEWLINES.split(text), 1):
        source = line.strip()
        if source and not source.startswith(COMMENT):
            yield Row(line=number, source=source)


def csv_rows(text: str) -> Iterator[Row]:
    """Yield the rows below a line of column names, separated by commas, semicolons or tabs.

    Raises:
        ValueError: there is no column of sources, or one that is no parameter.
    """
    reader = csv.reader(StringIO(text, newline=""), delimiter=_delimiter(text))
    columns = [column.strip() for column in next(reader, [])]
    _require_columns(columns)
    ended = reader.line_num
    for cells in reader:
        first, ended = ended + 1, reader.line_num
        if not any(cell.strip() for cell in cells) or cells[0].startswith(COMMENT):
            continue
        if len(cells) > len(columns):
            yield Row(line=first, problem=f"{len(cells)} cells in {len(columns)} columns")
            continue
        values = {
            column: cell.strip()
            for column, cell in zip(columns, cells, strict=False)
            if cell.strip() and not column.startswith(COMMENT)
        }
        yield _row(first, values)


def jsonl_rows(text: str) -> Iterator[Row]:
    """Yield a row per line: an address in quotes, or an object with one and parameters."""
    for number, line in enumerate(_NEWLINES.split(text), 1):
        if not line.strip() or line.lstrip().startswith(COMMENT):
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            yield Row(line=number, problem="it is not JSON")
            continue
        values = {"source": value} if isinstance(value, str) else value
        if isinstance(values, dict):
            yield _row(number, values)
        else:
            yield Row(line=number, problem="it is neither an address in quotes nor an object")


def _row(line: int, values: Mapping[str, Any]) -> Row:
    left = {name: value for name, value in values.items() if value is not None}
    source = next((left.pop(name) for name in SOURCE_NAMES if name in left), "")
    name = left.pop(NAME, None)
    seconds = next((left.pop(each) for each in DURATION_NAMES if each in left), None)
    params = left.pop("params", {})
    wrong = unknown_name(left)
    problem = (
        f"no {SOURCE_NAMES[0]} is named"
        if not isinstance(source, str) or not source.strip()
        else "name is not text"
        if not (name is None or isinstance(name, str))
        else "params is not an object"
        if not isinstance(params, dict)
        else f"{wrong!r} is not a parameter"
        if wrong
        else None
    )
    if problem is not None:
        return Row(line=line, problem=problem)
    return Row(
        line=line,
        source=source.strip(),
        name=name or None,
        params=params | nested(left),
        known_sec=_number(seconds),
    )


def _number(value: object) -> float | None:
    try:
        seconds = float(value)  # type: ignore[arg-type]  # whatever a list holds
    except (TypeError, ValueError):
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _delimiter(text: str) -> str:
    """Return what separates the column names: spreadsheets use all three."""
    head = _NEWLINES.split(text, maxsplit=1)[0]
    return max(",;\t", key=head.count)


def _require_columns(columns: list[str]) -> None:
    if not {*columns} & {*SOURCE_NAMES}:
        raise ValueError(f"the first line must name a column {' or '.join(SOURCE_NAMES)}")
    for column in columns:
        is_own = column in (*SOURCE_NAMES, *DURATION_NAMES, NAME) or column.startswith(COMMENT)
        if column and not is_own and column not in known_names():
            raise ValueError(
                f"column {column!r} is not a parameter; a column for your own use begins with "
                f"{COMMENT}"
            )
    if len({*columns}) < len(columns):
        raise ValueError("two columns have one name")
