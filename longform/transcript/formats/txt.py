"""Plain text: one segment per line."""

from longform.transcript.formats.rendering import Rendering
from longform.transcript.speaker_label import prefixed


class TxtFormat:
    """The text alone; segments without any are left out."""

    suffix = ".txt"

    def render(self, rendering: Rendering) -> str:
        """Return one line per segment, blanks within it made single."""
        lines = map(prefixed, rendering.output.segments)
        return "".join(f"{line}\n" for line in lines if line)
