"""Leases: by them work that still goes on is told from work whose process was killed.

A lease is a small file beside what it protects. Its holder writes it before anything else, renews
it from a thread, and takes it back in the end. On the holder's machine its process decides, and no
clock is asked: where it is gone, the lease is void. From any other machine a lease that is not
renewed runs out; by which clock is up to who looks:

- a claim on a chunk (`pipeline.chunk_claims`) is watched by a process that waits for it, so that
  the clock of the waiter will do;
- the lease of a run's folder (`storage.cleanup`) is judged in one look, which needs the clock of
  the store itself.
"""

import logging
import os
import secrets
import threading
from typing import Self

from pydantic import ValidationError

from longform.errors import LongformError
from longform.process_identity import ProcessIdentity
from longform.storage.folder import Folder

logger = logging.getLogger(__name__)

_held: set[str] = set()  # tokens of the leases that this process holds: it outlives its work


class Lease(ProcessIdentity):
    """Who holds something. `renewals` changes with every renewal.

    `run` is one execution of a flow, and `worker` a name of the process for people.
    """

    token: str = ""
    run: str = ""
    worker: str = ""
    renewals: int = 0

    @property
    def is_void(self) -> bool:
        """Whether its holder is known to be gone; never known of another machine's."""
        if self.is_here and self.pid == os.getpid():
            return self.token not in _held
        return self.is_gone


class HeldLease:
    """A lease of this process, renewed until it is released."""

    def __init__(self, folder: Folder, name: str, lease: Lease, renew_sec: float) -> None:
        self._folder = folder
        self._name = name
        self._lease = lease
        self._renew_sec = renew_sec
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease {name}", daemon=True)

    @classmethod
    def take(
        cls,
        folder: Folder,
        name: str,
        *,
        renew_sec: float,
        run: str = "",
        worker: str = "",
        exclusive: bool = False,
    ) -> Self | None:
        """Write a lease as the file `name`; None where it is exclusive and another has it.

        Raises:
            OutputError: the folder cannot be written.
        """
        token = secrets.token_hex(8)
        lease = Lease.of_this_process(token=token, run=run, worker=worker)
        put = folder.create if exclusive else folder.write
        _held.add(token)
        try:
            taken = put(name, lease.model_dump_json().encode()) is not False
        except LongformError:
            _held.discard(token)
            raise
        if not taken:
            _held.discard(token)
            return None
        held = cls(folder, name, lease, renew_sec)
        held._thread.start()
        return held

    def release(self, *, remove: bool = False) -> None:
        """Stop renewing; with `remove`, take the file away unless another has taken it over."""
        self._released.set()
        self._thread.join()
        try:
            if remove and self._is_ours():
                self._folder.remove(self._name)
        except LongformError as error:
            logger.warning("the lease %s could not be given back: %s", self._name, error)
        _held.discard(self._lease.token)

    def _keep(self) -> None:
        while not self._released.wait(self._renew_sec):
            try:
                if not self._is_ours():
                    return  # it ran out in the eyes of another process, which has it now
                renewed = {"renewals": self._lease.renewals + 1}
                self._lease = self._lease.model_copy(update=renewed)
                self._folder.write(self._name, self._lease.model_dump_json().encode())
            except LongformError as error:
                logger.warning("the lease %s could not be renewed: %s", self._name, error)

    def _is_ours(self) -> bool:
        found = read_lease(self._folder, self._name)
        return found is not None and found.token == self._lease.token


def read_lease(folder: Folder, name: str) -> Lease | None:
    """Return a lease; None where there is none.

    One that cannot be read belongs to no known process: it runs out.

    Raises:
        OutputError: the folder cannot be read.
    """
    content = folder.read(name)
    if content is None:
        return None
    try:
        return Lease.model_validate_json(content)
    except ValidationError:
        return Lease(machine="", pid=0, process_start="", worker="unknown")
