"""Records under content keys: JSON with a checksum, in a folder or an object store.

What is damaged, cut off or foreign reads as missing. Nothing is ever unpickled.
"""

import json
import logging
import re
from hashlib import sha256
from typing import Generic, TypeVar

from pydantic import BaseModel

from longform.errors import InvariantError, OutputError
from longform.storage.folder import Folder, open_folder

logger = logging.getLogger(__name__)

_KEY = re.compile(r"[0-9a-f]{64}")

Record = TypeVar("Record", bound=BaseModel)


class RecordStore(Generic[Record]):
    """Records of one kind, by key. Any number of processes may read and write it.

    Args:
        root: a folder or an fsspec URL.
        model: what a record is read into.
        kind: part of every checksum, so it never changes: classes may be renamed, and the
            records of earlier versions are still read.
    """

    def __init__(self, root: str, model: type[Record], kind: str) -> None:
        self._root = root.rstrip("/")
        self._model = model
        self._kind = kind

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
        # With key and kind, so that a sound record in a wrong place counts as damaged.
        return sha256("\n".join((self._kind, key, payload)).encode()).hexdigest()

    def _parse(self, content: bytes, key: str) -> Record:
        return self._model.model_validate_json(self._payload(content, key))

    def _payload(self, content: bytes, key: str) -> str:
        document = json.loads(content)
        payload: str = document["payload"]
        if self._checksum(key, payload) != document["checksum"]:
            raise ValueError("the checksum is wrong")
        return payload

    def _place(self, key: str) -> tuple[Folder, str]:
        if not _KEY.fullmatch(key):
            raise InvariantError(f"not a cache key: {key!r}")
        # Folders by the first two digits: one folder of a million files is slow to open.
        return open_folder(f"{self._root}/{key[:2]}"), f"{key}.json"
