"""What earlier runs have left at a path: a transcript of ours, or a note of a failure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from longform.params import FrozenModel
from longform.storage.folder import Folder

TRANSCRIPT_SUFFIX = ".json"
FAILURE_SUFFIX = ".failed.json"


class _Loose(BaseModel):
    """Base of what other versions may have written: fields that are not known are left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class OldProvenance(_Loose):
    """What a transcript says of itself; `parameters` are those of its own version."""

    source_fingerprint: str
    source_address: str
    parameters: Mapping[str, Any]
    model: str
    model_sha256: str | None = None
    engine: str


class OldTranscript(_Loose):
    """A transcript of ours, as far as a later run needs it; `digest` is of the whole file."""

    status: str = "complete"
    input_duration_sec: float = 0.0
    provenance: OldProvenance
    digest: str = ""


class FailureNote(FrozenModel):
    """Left in the place of a file that failed; `transcript` is the digest of what lay there."""

    source: str
    reason: str
    error: str
    failed_at: str  # ISO 8601, UTC
    run_url: str = ""
    transcript: str | None = None


def read_transcript(folder: Folder, stem: str) -> OldTranscript | Literal["none", "foreign"]:
    """Return the transcript of a stem, or what is there instead: nothing, or a file not of ours.

    Raises:
        OutputError: the folder cannot be read.
    """
    content = folder.read(f"{stem}{TRANSCRIPT_SUFFIX}")
    if content is None:
        return "none"
    try:
        found = OldTranscript.model_validate_json(content)
    except ValidationError:
        return "foreign"
    return found.model_copy(update={"digest": sha256(content).hexdigest()})


def read_failure(folder: Folder, stem: str, transcript: OldTranscript | None) -> FailureNote | None:
    """Return the note of the last failure, unless a transcript has come since.

    Raises:
        OutputError: the folder cannot be read.
    """
    content = folder.read(f"{stem}{FAILURE_SUFFIX}")
    if content is None:
        return None
    try:
        note = FailureNote.model_validate_json(content)
    except ValidationError:
        return None
    return note if note.transcript == (transcript.digest if transcript else None) else None


def write_failure(folder: Folder, stem: str, note: FailureNote) -> None:
    """Leave a note.

    Raises:
        OutputError: the folder cannot be written.
    """
    folder.write(f"{stem}{FAILURE_SUFFIX}", note.model_dump_json(indent=1).encode() + b"\n")


def forget_failure(folder: Folder, stem: str) -> None:
    """Take the note away.

    Raises:
        OutputError: the folder does not let it go.
    """
    folder.remove(f"{stem}{FAILURE_SUFFIX}")


def now_utc() -> str:
    """Return the time in ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
