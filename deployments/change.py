"""What `longform deploy` did, or would do, to one thing on the server."""

from dataclasses import dataclass
from typing import Literal

Action = Literal["created", "changed", "unchanged", "removed", "kept"]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing on the server; `detail` never holds a secret."""

    kind: str
    name: str
    action: Action
    detail: str = ""
