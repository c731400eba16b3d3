"""Plain text: one segment per line."""

from longform.transcript.output import TranscribeOutput


class TxtFormat:
    """The text alone; segments without any are left out."""

    suffix = ".txt"

    def render(self, output: TranscribeOutput) -> str:
        """Return one line per segment, blanks within it made single."""
        lines = (" ".join(segment.text.split()) for segment in output.segments)
        return "".join(f"{line}\n" for line in lines if line)
