"""What may go: the folders of killed runs, old records, and writes that a kill has interrupted."""

import logging
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from longform.errors import LongformError, OutputError
from longform.storage.folder import Folder, open_folder
from longform.storage.lease import read_lease
from longform.storage.temp_files import is_left_behind

logger = logging.getLogger(__name__)

RUN_NAME = re.compile(r"run-[0-9a-f]{16}")  # nothing else in a work store is ever touched
LEASE_FILE = "lease.json"  # in the folder of a run
RENEW_SEC = 30.0  # seconds between two renewals of it
ABANDONED_AFTER_SEC = 900.0  # seconds: 30 renewals that failed or did not happen

TEMP_FILE_SEC = 86_400.0  # a write takes no second; a day is beyond any skew of clocks
_RECORD = re.compile(r"[0-9a-f]{64}\.json")
_TEMP_FILE = re.compile(r"\.longform-[0-9a-f-]{32,}\.tmp")


@dataclass(frozen=True, slots=True)
class Leftover:
    """The folder of a run that is no more."""

    root: str
    run: str
    num_files: int
    num_bytes: int


def find_leftovers(root: str) -> list[Leftover]:
    """Return the folders in a work store whose runs are no more.

    Raises:
        OutputError: the store cannot be reached.
    """
    folder = open_folder(root)
    found = []
    for run in folder.names():
        if RUN_NAME.fullmatch(run) and is_abandoned(folder, run):
            sizes = folder.sizes(run).values()
            found.append(Leftover(root, run, len(sizes), sum(sizes)))
    return found


def remove_leftover(leftover: Leftover) -> None:
    """Remove one of them; that another process has done so already is no error.

    Raises:
        OutputError: the store does not let it go.
    """
    open_folder(leftover.root).remove(leftover.run)


def remove_leftovers(root: str) -> list[Leftover]:
    """Remove what killed runs have left; what cannot be removed is logged and stays."""
    removed = []
    try:
        for leftover in find_leftovers(root):
            remove_leftover(leftover)
            removed.append(leftover)
            logger.info("removed %s, left by a run that was killed", leftover.run)
    except LongformError as error:
        logger.warning("leftovers in the work store could not be removed: %s", error)
    return removed


def is_abandoned(
    folder: Folder, run: str, abandoned_after_sec: float = ABANDONED_AFTER_SEC
) -> bool:
    """Tell whether a run's folder was left behind by a run that is no more.

    On the machine of the run its process decides. Elsewhere a lease runs out by the clock of the
    store, so that the machines' own clocks do not matter; a store that takes its times from its
    writers is safe up to a skew of 14 minutes.
    """
    lease = read_lease(folder, f"{run}/{LEASE_FILE}")
    if lease is not None and not lease.machine:  # it cannot be read
        lease = None
    if lease is not None and lease.is_here:
        return lease.is_void
    if lease is not None:
        seen = folder.modified_unix_sec(f"{run}/{LEASE_FILE}")
    else:
        files = [*folder.sizes(run)]
        if any(is_left_behind(name.rpartition("/")[2]) for name in files):
            return True  # killed while it wrote its first lease
        times = map(folder.modified_unix_sec, (run, *files))
        seen = max((at for at in times if at is not None), default=None)
    return seen is not None and _store_now_unix_sec(folder) - seen > abandoned_after_sec


def _store_now_unix_sec(folder: Folder) -> float:
    # In a folder like a run's: should we be killed here, it is cleared away like one.
    probe = f"run-{secrets.token_hex(8)}"
    folder.write(f"{probe}/clock", b"now")
    try:
        return folder.modified_unix_sec(f"{probe}/clock") or 0.0
    finally:
        folder.remove(probe)


@dataclass(frozen=True, slots=True)
class OldRecord:
    """A file in the chunk store, by its name there."""

    name: str
    num_bytes: int


def find_old_records(store_url: str, max_age_sec: float | None) -> list[OldRecord]:
    """Return the records older than `max_age_sec` (None: no record) and unfinished writes.

    Raises:
        OutputError: the store cannot be reached.
    """
    found = []
    with _cleaning():
        folder = open_folder(store_url)
        for name, num_bytes in folder.sizes().items():
            limit_sec = _limit_sec(name.rpartition("/")[2], max_age_sec)
            written = folder.modified_unix_sec(name) if limit_sec is not None else None
            if written is not None and time.time() - written > (limit_sec or 0.0):
                found.append(OldRecord(name, num_bytes))
    return found


def _limit_sec(file_name: str, max_age_sec: float | None) -> float | None:
    """Return the age from which a file of the chunk store may go; None: it stays."""
    if _TEMP_FILE.fullmatch(file_name):
        return TEMP_FILE_SEC
    return max_age_sec if _RECORD.fullmatch(file_name) else None


def remove_records(store_url: str, records: list[OldRecord]) -> None:
    """Remove records; that one is gone already is no error.

    Raises:
        OutputError: the store does not let one go.
    """
    with _cleaning():
        folder = open_folder(store_url)
        for record in records:
            folder.remove(record.name)


@contextmanager
def _cleaning() -> Iterator[None]:
    try:
        yield
    except OutputError as error:
        raise OutputError(f"{error} (LONGFORM_CHUNK_STORE names the chunk store)") from error
