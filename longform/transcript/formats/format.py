"""The format protocol: a transcript in, the text of a file out."""

from typing import Protocol

from longform.transcript.formats.rendering import Rendering


class Format(Protocol):
    """One kind of transcript file. Implementations hold no state."""

    @property
    def suffix(self) -> str:
        """The suffix of the file's name, with its dot."""
        ...

    def render(self, rendering: Rendering) -> str:
        r"""Return the whole file; lines end in `\n`."""
        ...
