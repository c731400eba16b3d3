"""Tab-separated values, as openai-whisper writes them: start and end in milliseconds, text."""

from longform.transcript.formats.milliseconds import to_ms
from longform.transcript.formats.rendering import Rendering
from longform.transcript.output import OutputSegment
from longform.transcript.speaker_label import prefixed


class TsvFormat:
    """One segment per line, below a line with the names of the columns."""

    suffix = ".tsv"

    def render(self, rendering: Rendering) -> str:
        """Return the table; tabs and line ends within text become blanks."""
        return "start\tend\ttext\n" + "".join(map(_row, rendering.output.segments))


def _row(segment: OutputSegment) -> str:
    return f"{to_ms(segment.start_time_sec)}\t{to_ms(segment.end_time_sec)}\t{prefixed(segment)}\n"
