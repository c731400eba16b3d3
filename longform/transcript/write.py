"""Stage `write`: a transcript into files, without touching those of another recording."""

import json
from collections.abc import Mapping, Sequence

from longform.errors import OutputError, ParameterError
from longform.storage.folder import Folder, open_folder
from longform.transcript.file_stem import file_stem, marked_stem
from longform.transcript.formats import FORMATS
from longform.transcript.formats.rendering import Rendering
from longform.transcript.output import TranscribeOutput


def check_writable(target: str) -> None:
    """Find out before any work is done whether files can be written to a folder or URL.

    Raises:
        OutputError: one line that says what is in the way, and what to do.
    """
    open_folder(_required(target)).check()


def write_outputs(
    output: TranscribeOutput, formats: Sequence[str], target: str, stem: str | None = None
) -> TranscribeOutput:
    """Write a transcript in each of `formats` to a folder or URL; return it with its `files`.

    Files are named after the recording and replace those of an earlier run of it. Where
    files of another recording lie under these names, or files that do not say whose they
    are, the names carry a part of the recording's fingerprint. Each file is written atomically.

    Args:
        output: the transcript.
        formats: names of formats.
        target: folder or URL.
        stem: names the files, and what has these names is replaced: the caller knows whose they
            are. The JSON file is then the last: as long as it is the old one, a reader
            can tell that the replacement was not completed.

    Raises:
        OutputError: a file cannot be written.
        ParameterError: there is no format of that name.
    """
    names = tuple(dict.fromkeys(formats))
    require_formats(names)
    place = open_folder(_required(target))
    if stem is not None:
        return _replace(output, names, stem, place)
    stem = file_stem(output.provenance.source_name)
    files = _render(output, names, stem, place)
    if not _may_replace(output, stem, place):
        stem = marked_stem(stem, output.provenance.source_fingerprint)
        files = _render(output, names, stem, place)
    # The JSON file first: it is the one that says whose the others are.
    for name in sorted(files, key=lambda name: not name.endswith(FORMATS["json"].suffix)):
        place.write(name, files[name].encode())
    return output.model_copy(update={"files": tuple(map(place.address, files))})


def _replace(
    output: TranscribeOutput, names: Sequence[str], stem: str, place: Folder
) -> TranscribeOutput:
    files = _render(output, names, stem, place)
    for name in sorted(files, key=lambda name: name == f"{stem}{FORMATS['json'].suffix}"):
        place.write(name, files[name].encode())
    return output.model_copy(update={"files": tuple(map(place.address, files))})


def _required(target: str) -> str:
    if not target.strip():
        raise OutputError("no output folder was named; name one")
    return target


def require_formats(names: Sequence[str]) -> None:
    """Check that there are formats of these names.

    Raises:
        ParameterError: naming the one that is unknown, and those there are.
    """
    if unknown := [name for name in names if name not in FORMATS]:
        raise ParameterError(f"no output format {unknown[0]!r}; there are {', '.join(FORMATS)}")


def _render(
    output: TranscribeOutput, names: Sequence[str], stem: str, place: Folder
) -> Mapping[str, str]:
    """Return the text of every file by its name, in the order of the formats."""
    files = {name: f"{stem}{FORMATS[name].suffix}" for name in names}
    addresses = tuple(place.address(file) for file in files.values())
    rendering = Rendering(output.model_copy(update={"files": addresses}))
    return {file: rendering.file(FORMATS[name]) for name, file in files.items()}


def _may_replace(output: TranscribeOutput, stem: str, place: Folder) -> bool:
    """Tell whether no file of this stem can be another recording's.

    Only a JSON file says whose it is. Where there is none, the others must be what this
    recording would have there, whichever formats are asked for this time.
    """
    record = place.read(f"{stem}{FORMATS['json'].suffix}")
    if record is not None:
        return _fingerprint(record) == output.provenance.source_fingerprint
    rendering = Rendering(output)
    return all(_is_own(rendering, name, stem, place) for name in FORMATS)


def _is_own(rendering: Rendering, name: str, stem: str, place: Folder) -> bool:
    found = place.read(f"{stem}{FORMATS[name].suffix}")
    return found is None or found == rendering.file(FORMATS[name]).encode()


def _fingerprint(record: bytes) -> str | None:
    """Return whose transcript a JSON file is; None where it does not say."""
    try:
        return str(json.loads(record)["provenance"]["source_fingerprint"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
