"""A transcript on its way into files: what several formats need of it is made once."""

from functools import cached_property
from typing import Protocol

from longform.audio import to_samples
from longform.transcript.cues import Cue, to_cues
from longform.transcript.output import TranscribeOutput

# The format protocol: a transcript in, the text of a file out.


class Format(Protocol):
    """One kind of transcript file. Implementations hold no state."""

    @property
    def suffix(self) -> str:
        """The suffix of the file's name, with its dot."""
        ...

    def render(self, rendering: "Rendering") -> str:
        r"""Return the whole file; lines end in `\n`."""
        ...


class Rendering:
    """A transcript with its subtitle cues and the files made of it so far.

    Args:
        output: the transcript; it does not change meanwhile.
    """

    def __init__(self, output: TranscribeOutput) -> None:
        self.output = output
        self._files: dict[str, str] = {}

    @cached_property
    def cues(self) -> tuple[Cue, ...]:
        """The subtitles, laid out as the parameters of the transcript say."""
        layout = self.output.provenance.parameters.subtitles
        return to_cues(self.output.segments, layout, to_samples(self.output.input_duration_sec))

    def file(self, format_: Format) -> str:
        """Return the whole file of a format, which is rendered the first time."""
        if format_.suffix not in self._files:
            self._files[format_.suffix] = format_.render(self)
        return self._files[format_.suffix]
