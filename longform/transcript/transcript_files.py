"""The files of one transcript, wherever they lie, by format."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from longform.errors import ParameterError
from longform.net.policy import printable
from longform.params import FrozenModel
from longform.storage.folder import open_folder
from longform.transcript.formats import FORMATS
from longform.transcript.formats.rendering import Rendering
from longform.transcript.output import OutputSegment, OutputWord, TranscribeOutput

# The longest first: `.diarized.json` ends with `.json` as well.
_BY_SUFFIX = sorted(FORMATS, key=lambda name: len(FORMATS[name].suffix), reverse=True)


@dataclass(frozen=True, slots=True)
class WrittenTranscript:
    """Paths or URLs of a transcript's files by the name of their format."""

    files: Mapping[str, str]

    def output(self) -> TranscribeOutput | None:
        """Return the transcript; None where no JSON file of it was written.

        Raises:
            ParameterError: that file is gone, or is something else.
            OutputError: it cannot be read.
        """
        file = self.files.get("json")
        return None if file is None else read_output(read_file(file), file)

    def text(self, name: str) -> str:
        """Return the transcript in a format: its file, or made from the JSON file.

        Raises:
            ParameterError: there is neither, or the file is gone.
            OutputError: it cannot be read.
        """
        if name in self.files:
            return read_file(self.files[name]).decode("utf-8", "replace")
        output = self.output() if name != "html" else None  # the page needs the sound
        if output is None:
            raise ParameterError(
                f"{name} was not written; there is {', '.join(self.files) or 'no file'}"
            )
        return Rendering(output).file(FORMATS[name])


def written(files: Iterable[str]) -> WrittenTranscript:
    """Return the transcript whose files these are."""
    found = {name: file for file in files if (name := format_of(file)) is not None}
    return WrittenTranscript({name: found[name] for name in FORMATS if name in found})


def written_beside(path: Path) -> WrittenTranscript:
    """Return the transcript that a file is a part of, with the files of its name beside it.

    Raises:
        ParameterError: it is no file of a transcript.
    """
    name = format_of(path.name)
    if name is None or not path.is_file():
        suffixes = ", ".join(form.suffix for form in FORMATS.values())
        raise ParameterError(f"{printable(str(path))} is no transcript: name a file ({suffixes})")
    stem = path.name.removesuffix(FORMATS[name].suffix)
    beside = (path.absolute().with_name(f"{stem}{form.suffix}") for form in FORMATS.values())
    return written(str(each) for each in beside if each.is_file())


def format_of(file: str) -> str | None:
    """Return the format of a file by its name."""
    return next((name for name in _BY_SUFFIX if file.endswith(FORMATS[name].suffix)), None)


def read_file(file: str) -> bytes:
    """Return the content of an output file.

    Raises:
        ParameterError: it is gone.
        OutputError: it cannot be read.
    """
    folder, _, name = file.rpartition("/")
    content = open_folder(folder or "/").read(name)
    if content is None:
        raise ParameterError(f"{printable(file)} is gone: it was moved or removed after the run")
    return content


# Reading back a transcript from the JSON file that was written of it.


_WORD_FIELDS = frozenset(field.name for field in fields(OutputWord))


def read_output(content: bytes, name: str) -> TranscribeOutput:
    """Return the transcript in a JSON file; what only OpenAI's format has is left out.

    Raises:
        ParameterError: it is no transcript of longform.
    """
    try:
        document = json.loads(content)
        segments = [_segment(segment) for segment in document["segments"]]
        return TranscribeOutput.model_validate(
            _fields(TranscribeOutput, document) | {"segments": segments}
        )
    except (ValueError, TypeError, KeyError, AttributeError, ValidationError) as error:
        raise ParameterError(f"{name} is no transcript of longform") from error


def _segment(segment: dict[str, Any]) -> dict[str, Any]:
    words = [
        {name: value for name, value in word.items() if name in _WORD_FIELDS}
        for word in segment.get("words", ())
    ]
    return _fields(OutputSegment, segment) | {"words": words}


def _fields(model: type[FrozenModel], values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in model.model_fields}
