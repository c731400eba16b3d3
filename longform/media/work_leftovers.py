"""What killed runs have left in a work store: found by their leases, and removed."""

import logging
import re
from dataclasses import dataclass

from longform.errors import LongformError
from longform.media.work_folder import WorkFolder
from longform.media.work_lease import is_abandoned

logger = logging.getLogger(__name__)

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
