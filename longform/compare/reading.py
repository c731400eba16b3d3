"""Reading what is compared: transcripts of ours, OpenAI's JSON, subtitles, or plain text."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

from longform.errors import ParameterError

_MS_PER_SEC = 1_000
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True, slots=True)
class Utterance:
    """A stretch of text and when it is said; None where the file does not say."""

    text: str
    start_sec: float | None


@dataclass(frozen=True, slots=True)
class Text:
    """A transcript as far as a comparison needs it."""

    name: str
    utterances: tuple[Utterance, ...]


def read_text(path: Path) -> Text:
    """Read a .json, .srt or .vtt transcript; any other file is taken as plain text.

    Raises:
        ParameterError: there is no such file, or it is not what its name says.
    """
    try:
        content = path.read_text(encoding="utf-8-sig")
        reader = _READERS.get(path.suffix.lower(), _plain)
        return Text(path.name, tuple(reader(content)))
    except OSError as error:
        raise ParameterError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ParameterError(f"{path} is not UTF-8 text; convert it first") from error
    except _UnreadableError as error:
        raise ParameterError(f"{path} is no transcript: {error}") from error


def transcript_text(name: str, content: str) -> Text:
    """Return the text of a transcript that was written as JSON.

    Raises:
        ParameterError: it is none.
    """
    try:
        return Text(name, tuple(_json(content)))
    except _UnreadableError as error:
        raise ParameterError(f"{name} is no transcript: {error}") from error


class _UnreadableError(ValueError):
    """A file is not what its name says."""


def _plain(content: str) -> Iterator[Utterance]:
    yield from (Utterance(line, None) for line in content.splitlines() if line.strip())


def _json(content: str) -> Iterator[Utterance]:
    try:
        segments = json.loads(content)["segments"]
        for segment in segments:
            yield from _segment(segment)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _UnreadableError("give the JSON of longform, or OpenAI's verbose_json") from error


def _segment(segment: Mapping[str, Any]) -> Iterator[Utterance]:
    """Yield the words of a segment where they are timed, else the segment as one."""
    words = segment.get("words") or ()
    if words:
        yield from (Utterance(str(word["word"]), _start(word)) for word in words)
    else:
        yield Utterance(str(segment["text"]), _start(segment))


def _start(timed: Mapping[str, Any]) -> float | None:
    found = timed.get("start_time_sec", timed.get("start"))
    return None if found is None else float(found)


def _srt(content: str) -> Iterator[Utterance]:
    yield from (Utterance(event.plaintext, event.start / _MS_PER_SEC) for event in _events(content))


def _vtt(content: str) -> Iterator[Utterance]:
    # In WebVTT braces are text, and & and < are entities; pysubs2's plain text has it otherwise.
    for event in _events(content):
        text = unescape(_TAG.sub("", event.text.replace("\\N", " ")))
        yield Utterance(text, event.start / _MS_PER_SEC)


def _events(content: str) -> Any:
    from pysubs2 import SSAFile
    from pysubs2.exceptions import Pysubs2Error

    try:
        return SSAFile.from_string(content)
    except Pysubs2Error as error:
        raise _UnreadableError("its subtitles cannot be read") from error


_READERS: Mapping[str, Callable[[str], Iterator[Utterance]]] = {
    ".json": _json,
    ".srt": _srt,
    ".vtt": _vtt,
}
