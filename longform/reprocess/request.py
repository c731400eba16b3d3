"""What one bulk run is asked for."""

from typing import Literal

from longform.params import FrozenModel

Select = Literal["missing", "outdated", "failed", "all"]


class SourceLists(FrozenModel):
    """Where the recordings of a bulk run are named; every list that is given counts."""

    sources: tuple[str, ...] = ()
    manifest: str | None = None
    glob: str | None = None
    feed: str | None = None
