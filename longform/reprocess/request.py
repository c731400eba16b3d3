"""Where the recordings of a bulk run are named, and which of them it takes."""

from typing import Literal

from pydantic import Field

from longform.params import FrozenModel

Select = Literal["missing", "outdated", "failed", "all"]


class SourceLists(FrozenModel):
    """The lists of a bulk run; every one that is given counts."""

    sources: tuple[str, ...] = Field((), repr=False)
    manifest: str | None = Field(None, repr=False)
    glob: str | None = Field(None, repr=False)
    feed: str | None = Field(None, repr=False)
