"""The stores of what a run leaves for the next: chunk results and plans, under content keys.

A record is JSON with a checksum, in a folder or under an fsspec URL. What is damaged, cut
off or foreign reads as missing. Nothing is ever unpickled.
"""

import json
import logging
import re
import secrets
from hashlib import sha256
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from longform.errors import InvariantError, OutputError
from longform.params import TranscribeParams
from longform.timeline import Span
from longform.transcript.segment import ChunkResult

logger = logging.getLogger(__name__)

RECORD_VERSION = 1  # raise when a record of today cannot be read as one of yesterday
_KEY = re.compile(r"[0-9a-f]{64}")

# Parameters that cannot change the text of a chunk, given its span.
_WITHOUT_EFFECT_ON_TEXT = {
    "macro_chunk_size_sec",
    "split_search_sec",
    "batch_size",
    "on_chunk_failure",
    "model",  # its sha256 is in the key
}

Record = TypeVar("Record", bound=BaseModel)


def chunk_key(
    *,
    fingerprint: str,
    audio_stream: int,
    span: Span,
    open_ended: bool,
    params: TranscribeParams,
    model_sha256: str | None,
    engine_identity: str,
) -> str:
    """Return the key of a chunk's result: all that decides on it, and nothing else."""
    identity = {
        "version": RECORD_VERSION,
        "fingerprint": fingerprint,
        "audio_stream": audio_stream,
        "span": [span.start_sample, span.end_sample, open_ended],
        "params": params.model_dump(mode="json", exclude=_WITHOUT_EFFECT_ON_TEXT),
        "model": model_sha256 or params.model,
        "engine": engine_identity,
    }
    return sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


class RecordStore(Generic[Record]):
    """Records of one model class, by key."""

    def __init__(self, root: str, model: type[Record]) -> None:
        self._root = root.rstrip("/")
        self._model = model

    def get(self, key: str) -> Record | None:
        """Return a record, or None where there is none that can be trusted."""
        file_system, path = self._place(key)
        try:
            text = file_system.cat_file(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            logger.warning("cannot read the cached record %s: %s", path, error)
            return None
        return self._parse(text, path)

    def put(self, key: str, record: Record) -> None:
        """Store a record; it appears whole or not at all, and the last writer wins.

        Raises:
            OutputError: the store cannot be written.
        """
        payload = record.model_dump_json()
        document = {"checksum": sha256(payload.encode()).hexdigest(), "payload": payload}
        file_system, path = self._place(key)
        partial = f"{path}.{secrets.token_hex(4)}.partial"
        try:
            file_system.makedirs(path.rpartition("/")[0], exist_ok=True)
            file_system.pipe_file(partial, json.dumps(document).encode())
            file_system.mv(partial, path)
        except OSError as error:
            raise OutputError(
                f"the cache {self._root} cannot be written ({error.strerror or error}): make room, "
                "or set LONGFORM_CHUNK_STORE to a place that can be"
            ) from error

    def has(self, key: str) -> bool:
        """Return whether there is a record, in whatever condition."""
        file_system, path = self._place(key)
        return bool(file_system.exists(path))

    def _parse(self, text: bytes, path: str) -> Record | None:
        try:
            document = json.loads(text)
            payload = document["payload"]
            if sha256(payload.encode()).hexdigest() != document["checksum"]:
                raise ValueError("its checksum is wrong")
            return self._model.model_validate_json(payload)
        except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
            logger.warning("ignoring the damaged cached record %s: %s", path, error)
            return None

    def _place(self, key: str) -> tuple[Any, str]:
        from fsspec.core import url_to_fs

        if not _KEY.fullmatch(key):
            raise InvariantError(f"not a cache key: {key!r}")
        file_system, base = url_to_fs(self._root)
        return file_system, f"{str(base).rstrip('/')}/{key[:2]}/{key}.json"


class ChunkStore:
    """Results of macro chunks."""

    def __init__(self, root: str) -> None:
        self._records = RecordStore(root, ChunkResult)

    def get(self, key: str) -> ChunkResult | None:
        """Return the result that was stored under `key`, if it is sound."""
        result = self._records.get(key)
        return result if result is not None and result.key == key else None

    def put(self, result: ChunkResult) -> None:
        """Store a result under its own key."""
        self._records.put(result.key, result)

    def put_missing(self, result: ChunkResult) -> None:
        """Store a result unless it is there."""
        if not self._records.has(result.key):
            self.put(result)
