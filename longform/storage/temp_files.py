"""Files that are being written: named so that what a killed writer has left can be told apart.

The name says which file it is to become, and which process of which machine writes it. The next
writer of the same file removes what a process that is gone has left, and nothing else.
"""

import os
import re
import secrets
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from longform.process_identity import process_start, this_machine

TEMP_FILE = re.compile(
    r"\.longform-(?P<target>[0-9a-f]{16})-(?P<machine>[0-9a-f]{16})-"
    r"(?P<pid>[0-9]+)-(?P<start>[0-9]+)-[0-9a-f]{8}\.tmp"
)


def temp_name(name: str) -> str:
    """Return a new name under which this process writes the file `name` before it is whole."""
    pid = os.getpid()
    start = process_start(pid) or 0
    writer = f"{_digest(this_machine())}-{pid}-{start}"
    return f".longform-{_digest(name)}-{writer}-{secrets.token_hex(4)}.tmp"


def remove_left_behind(path: Path) -> None:
    """Remove what writers of a file that were killed on this machine have left beside it."""
    pattern = f".longform-{_digest(path.name)}-{_digest(this_machine())}-*.tmp"
    for left in path.parent.glob(pattern):
        if is_left_behind(left.name):
            with suppress(OSError):  # another process has just done the same
                left.unlink()


def is_left_behind(name: str) -> bool:
    """Tell whether a file of that name was left by a process of this machine that is gone."""
    match = TEMP_FILE.fullmatch(name)
    if match is None or match["machine"] != _digest(this_machine()):
        return False
    return process_start(int(match["pid"])) != match["start"]


def _digest(text: str) -> str:
    return sha256(os.fsencode(text)).hexdigest()[:16]
