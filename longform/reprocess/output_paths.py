"""The path of each entry's transcript: the same in every run, and never that of another entry.

The plain name, as `transcribe` gives it, is a recording's as long as nothing else claims it:
no other entry of the run, no other transcript, no query in its address that tells it from
others. Else the name carries 8 hex digits of what identifies the entry, which neither another
entry nor a later run can change.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from longform.errors import OutputError
from longform.net.policy import redact
from longform.reprocess.entry import Entry
from longform.reprocess.previous_results import OldTranscript, read_transcript
from longform.storage.folder import Folder, open_folder
from longform.transcript.file_stem import file_stem, marked_stem

Fingerprint = Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class OutputPath:
    """A folder or URL, the stem of the files there, and the transcript that is there now."""

    target: str
    stem: str
    transcript: OldTranscript | None = None

    @property
    def folder(self) -> Folder:
        """The folder in which the files lie."""
        return open_folder(self.target)

    @property
    def shown(self) -> str:
        """The path or URL without a suffix, and without credentials."""
        return self.folder.address(self.stem)


class OutputPaths:
    """The paths of the entries of one run below an output folder."""

    def __init__(self, target: str, entries: Sequence[Entry]) -> None:
        self._target = target
        self._claims = Counter(map(_claim, entries))

    async def find(self, entry: Entry, fingerprint: Fingerprint) -> OutputPath:
        """Return where the transcript of an entry lies or will lie.

        Args:
            entry: one of those that were given at the start.
            fingerprint: opens the recording and says what it is; asked only where a
                transcript of this name has been made from another address.

        Raises:
            OutputError: the folder cannot be read, or something else lies there.
            SourceError, RetryableError: from `fingerprint`.
        """
        folder = below(self._target, entry.folder)
        plain, marked = entry.stem, marked_stem(entry.stem, entry.mark)
        found = await asyncio.to_thread(read_transcript, open_folder(folder), marked)
        if found == "foreign":
            raise OutputError(f"{redact(folder)}: {marked}.json is not a transcript; move it away")
        if isinstance(found, OldTranscript):
            return OutputPath(folder, marked, found)
        if not entry.is_named_by_path:
            return OutputPath(folder, marked)
        there = await asyncio.to_thread(read_transcript, open_folder(folder), plain)
        is_alone = self._claims[_claim(entry)] == 1
        if isinstance(there, OldTranscript):
            is_own = there.provenance.source_address == entry.shown
            if not is_own and is_alone:  # the files may have moved
                is_own = there.provenance.source_fingerprint == await fingerprint()
            return OutputPath(folder, plain, there) if is_own else OutputPath(folder, marked)
        return OutputPath(folder, plain if there == "none" and is_alone else marked)


def below(target: str, folder: str) -> str:
    """Return a folder below the output folder, its names made safe."""
    parts = [part for part in PurePosixPath(folder).parts if part not in ("/", "..", ".")]
    # ".x" is the suffix that `file_stem` cuts off: a folder keeps all of its name.
    return "/".join((target.rstrip("/") or "/", *(file_stem(f"{part}.x") for part in parts)))


def _claim(entry: Entry) -> tuple[str, str]:
    # Folded: some file systems do not tell X from x.
    return below("", entry.folder).casefold(), entry.stem.casefold()
