"""Leases: by them a run that is still going is told from one that was killed.

A run writes a lease into its folder before anything else, and renews it from a thread. On the
machine of its owner the owner's process decides, and no clock is asked: where it is gone, so is
the lease. From any other machine the lease counts as given up when it has not been renewed for
`ABANDONED_AFTER_SEC` by the clock of the store itself, so that the machines' own clocks do not
matter. A store that takes its times from its writers is safe up to a skew of 14 minutes.
"""

import logging
import os
import re
import secrets
import threading
from contextlib import suppress
from dataclasses import dataclass

from pydantic import ValidationError

from longform.errors import LongformError, OutputError
from longform.params import FrozenModel
from longform.process_identity import process_start, this_machine
from longform.storage.remote_folder import PARTIAL, WorkFolder

logger = logging.getLogger(__name__)

RENEW_SEC = 30.0  # seconds between two renewals
ABANDONED_AFTER_SEC = 900.0  # seconds: 30 renewals that failed or did not happen
LEASE_FILE = "lease.json"

_held: set[str] = set()  # leases that this process holds: a process outlives its runs


class Lease(FrozenModel):
    """Who owns a run's folder. `renewals` changes with every renewal."""

    machine: str  # host, boot and process namespace: where a pid means this process
    pid: int
    process_start: str
    renewals: int = 0

    def is_held(self, run: str) -> bool:
        """Tell whether the owner still runs; only on its own machine."""
        if self.pid == os.getpid():
            return run in _held
        return process_start(self.pid) == self.process_start


class HeldLease:
    """A lease of this process: written at once, renewed until it is released."""

    def __init__(self, folder: WorkFolder, run: str, renew_sec: float = RENEW_SEC) -> None:
        """Take the lease.

        Raises:
            OutputError: the store cannot be written.
        """
        self._folder = folder
        self._run = run
        self._renew_sec = renew_sec
        self._lease = Lease(
            machine=this_machine(), pid=os.getpid(), process_start=process_start(os.getpid()) or ""
        )
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease {run}", daemon=True)
        _held.add(run)
        try:
            self._write()
        except OutputError:
            _held.discard(run)
            raise
        self._thread.start()

    def release(self) -> None:
        """Stop renewing; what lies in the folder is nobody's from now on."""
        self._released.set()
        self._thread.join()
        _held.discard(self._run)

    def _keep(self) -> None:
        while not self._released.wait(self._renew_sec):
            self._lease = self._lease.model_copy(update={"renewals": self._lease.renewals + 1})
            try:
                self._write()
            except OutputError as error:
                logger.warning("the lease of %s could not be renewed: %s", self._run, error)

    def _write(self) -> None:
        self._folder.write(self._lease.model_dump_json().encode(), self._run, LEASE_FILE)


def is_abandoned(
    folder: WorkFolder, run: str, abandoned_after_sec: float = ABANDONED_AFTER_SEC
) -> bool:
    """Tell whether a run's folder was left behind by a run that is no more."""
    lease = read_lease(folder, run)
    if lease is not None and lease.machine == this_machine():
        return not lease.is_held(run)
    seen = _last_sign_unix_sec(folder, run, lease)
    return seen is not None and _store_now_unix_sec(folder) - seen > abandoned_after_sec


def read_lease(folder: WorkFolder, run: str) -> Lease | None:
    """Return the lease of a run's folder, or None where there is none that can be read.

    A run that was killed while it wrote its first one has left that beside its place.
    """
    for name in (LEASE_FILE, f"{LEASE_FILE}{PARTIAL}"):
        with suppress(LongformError, ValidationError):
            return Lease.model_validate_json(folder.read(run, name))
    return None


def _last_sign_unix_sec(folder: WorkFolder, run: str, lease: Lease | None) -> float | None:
    """Return when the owner was last heard of; without a lease, when anything was written."""
    if lease is not None:
        return folder.modified_unix_sec(folder.path(run, LEASE_FILE))
    paths = [folder.path(run), *folder.files(run)]
    return max((at for at in map(folder.modified_unix_sec, paths) if at is not None), default=None)


def _store_now_unix_sec(folder: WorkFolder) -> float:
    # In a folder like a run's: should we be killed here, it is cleared away like one.
    probe = (f"run-{secrets.token_hex(8)}", "clock")
    folder.write(b"now", *probe)
    try:
        return folder.modified_unix_sec(folder.path(*probe)) or 0.0
    finally:
        folder.remove(probe[0])


# What killed runs have left in a work store: found by their leases, and removed.


RUN_NAME = re.compile(r"run-[0-9a-f]{16}")  # nothing else in a root is ever touched


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
    folder = WorkFolder(root)
    found = []
    for run in folder.names():
        if RUN_NAME.fullmatch(run) and is_abandoned(folder, run):
            sizes = folder.files(run).values()
            found.append(Leftover(root, run, len(sizes), sum(sizes)))
    return found


def remove_leftover(leftover: Leftover) -> None:
    """Remove one of them; that another process has done so already is no error.

    Raises:
        OutputError: the store does not let it go.
    """
    WorkFolder(leftover.root).remove(leftover.run)


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
