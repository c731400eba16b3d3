"""Records of the chunk store that may go: old ones, and writes that a kill has interrupted."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from longform.errors import OutputError
from longform.net.policy import redact
from longform.storage.remote_folder import open_file_system
from longform.storage.store_errors import store_errors

UNFINISHED_SEC = 86_400.0  # a write takes no second; a day is beyond any skew of clocks
_RECORD = re.compile(r"[0-9a-f]{64}\.json")
_UNFINISHED = re.compile(r"\.longform-[0-9a-f-]{32,}\.tmp")


@dataclass(frozen=True, slots=True)
class OldRecord:
    """A file in the chunk store, by its path there."""

    path: str
    num_bytes: int


def find_old_records(store_url: str, max_age_sec: float | None) -> list[OldRecord]:
    """Return the records older than `max_age_sec` (None: no record) and unfinished writes.

    Raises:
        OutputError: the store cannot be reached.
    """
    limits = {_RECORD: max_age_sec, _UNFINISHED: UNFINISHED_SEC}
    found = []
    with _reaching(store_url) as (store, base):
        for path, status in store.find(base, detail=True).items():
            name = str(path).rpartition("/")[2]
            limit = next((age for kind, age in limits.items() if kind.fullmatch(name)), None)
            if limit is not None and time.time() - store.modified(path).timestamp() > limit:
                found.append(OldRecord(str(path), int(status.get("size") or 0)))
    return found


def remove_records(store_url: str, records: list[OldRecord]) -> None:
    """Remove records; that one is gone already is no error.

    Raises:
        OutputError: the store does not let one go.
    """
    with _reaching(store_url) as (store, _):
        for record in records:
            with suppress(FileNotFoundError):
                store.rm_file(record.path)


@contextmanager
def _reaching(store_url: str) -> Iterator[tuple[Any, str]]:
    try:
        yield open_file_system(store_url)
    except store_errors() as error:
        reason = " ".join(str(error).split())
        raise OutputError(
            f"the chunk store {redact(store_url)} cannot be cleaned ({reason}); "
            "check LONGFORM_CHUNK_STORE"
        ) from error
