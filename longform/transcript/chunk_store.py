"""The stores of what a run leaves for the next: chunk results and plans, under content keys.

A record is JSON with a checksum, in a folder or under an fsspec URL. What is damaged, cut
off or foreign reads as missing. Nothing is ever unpickled.
"""

import json
import logging
import re
from hashlib import sha256
from typing import Generic, TypeVar

from pydantic import BaseModel

from longform.errors import InvariantError, OutputError
from longform.params import TranscribeParams
from longform.timeline import Span
from longform.transcript.output_place import OutputPlace, open_place
from longform.transcript.segment import ChunkResult

logger = logging.getLogger(__name__)

# Raise when the same recording and parameters would give another text, or when a record's
# model changes its meaning: older records then have keys that nobody asks for.
RECORD_VERSION = 2

_KEY = re.compile(r"[0-9a-f]{64}")

# Parameters that cannot change the text of a chunk, given its span. Every other one is part
# of the key, so that a parameter which is added later is in it from the start.
WITHOUT_EFFECT_ON_TEXT = frozenset(
    {
        "macro_chunk_size_sec",
        "macro_chunk_overlap_sec",  # the guards that it gave are in the key
        "split_search_sec",
        "batch_size",
        "on_chunk_failure",
        "subtitles",
        "diarize",
        "channels",  # the channel that is read is in the key
        "model",  # its sha256 is in the key
        "audio_stream",  # the one that was chosen is in the key
    }
)

Record = TypeVar("Record", bound=BaseModel)


def chunk_key(
    *,
    fingerprint: str,
    audio_stream: int,
    channel: int | None,
    span: Span,
    open_ended: bool,
    guards: tuple[int, int],
    params: TranscribeParams,
    model_sha256: str | None,
    engine_identity: str,
) -> str:
    """Return the key of a chunk's result, sha256 in hex: all that decides on it, nothing else.

    The address of the recording is no part of it: signed URLs change.
    """
    identity = {
        "version": RECORD_VERSION,
        "fingerprint": fingerprint,
        "audio_stream": audio_stream,
        "channel": channel,
        "span": [span.start_sample, span.end_sample, open_ended, *guards],
        "params": params.model_dump(mode="json", exclude=set(WITHOUT_EFFECT_ON_TEXT)),
        "model": model_sha256 or params.model,
        "engine": engine_identity,
    }
    return sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


class RecordStore(Generic[Record]):
    """Records of one model class, by key. Any number of processes may read and write it."""

    def __init__(self, root: str, model: type[Record]) -> None:
        self._root = root.rstrip("/")
        self._model = model

    def get(self, key: str) -> Record | None:
        """Return a record, or None where there is none that can be trusted."""
        place, name = self._place(key)
        try:
            content = place.read(name)
        except OutputError as error:
            logger.warning("a cached record cannot be read: %s", error)
            return None
        if content is None:
            return None
        try:
            return self._parse(content, key)
        # A file that is not one of ours may be anything; nesting can exhaust json's stack.
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            address, reason = place.address(name), type(error).__name__
            logger.warning("ignoring the damaged cached record %s (%s)", address, reason)
            return None

    def holds(self, key: str) -> bool:
        """Tell whether a whole record lies under a key, by its checksum alone."""
        place, name = self._place(key)
        try:
            content = place.read(name)
            return content is not None and bool(self._payload(content, key))
        except (OutputError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return False

    def put(self, key: str, record: Record) -> None:
        """Store a record; readers see all of it or none, and the last writer wins.

        Raises:
            OutputError: the store cannot be written.
        """
        payload = record.model_dump_json()
        document = {"checksum": self._checksum(key, payload), "payload": payload}
        place, name = self._place(key)
        try:
            place.write(name, json.dumps(document).encode())
        except OutputError as error:
            hint = "LONGFORM_CHUNK_STORE names another place for cached results"
            raise OutputError(f"{error} ({hint})") from error

    def remove(self, key: str) -> None:
        """Remove a record; that there is none is no error.

        Raises:
            OutputError: the store does not let it go.
        """
        place, name = self._place(key)
        place.remove(name)

    def _checksum(self, key: str, payload: str) -> str:
        # With key and class, so that a sound record in a wrong place counts as damaged.
        return sha256("\n".join((self._model.__name__, key, payload)).encode()).hexdigest()

    def _parse(self, content: bytes, key: str) -> Record:
        return self._model.model_validate_json(self._payload(content, key))

    def _payload(self, content: bytes, key: str) -> str:
        document = json.loads(content)
        payload: str = document["payload"]
        if self._checksum(key, payload) != document["checksum"]:
            raise ValueError("the checksum is wrong")
        return payload

    def _place(self, key: str) -> tuple[OutputPlace, str]:
        if not _KEY.fullmatch(key):
            raise InvariantError(f"not a cache key: {key!r}")
        # Folders by the first two digits: one folder of a million files is slow to open.
        return open_place(f"{self._root}/{key[:2]}"), f"{key}.json"


class ChunkStore:
    """Results of macro chunks; the root is a folder or an fsspec URL."""

    def __init__(self, root: str) -> None:
        self._records = RecordStore(root, ChunkResult)

    def get(self, key: str) -> ChunkResult | None:
        """Return the result that was stored under `key`, if it is sound."""
        result = self._records.get(key)
        return result if result is not None and result.key == key else None

    def put(self, result: ChunkResult) -> None:
        """Store a result under its own key.

        Raises:
            OutputError: the store cannot be written.
        """
        self._records.put(result.key, result)

    def put_missing(self, result: ChunkResult) -> None:
        """Store a result unless a whole one is there.

        Raises:
            OutputError: the store cannot be written.
        """
        if not self._records.holds(result.key):
            self.put(result)
