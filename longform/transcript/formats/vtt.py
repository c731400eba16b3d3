"""WebVTT subtitles (https://www.w3.org/TR/webvtt1/)."""

from html import escape

from longform.transcript.formats.subtitles import render_subtitles
from longform.transcript.output import TranscribeOutput


class VttFormat:
    """Cues below the header WEBVTT; braces and backslashes have no meaning here."""

    suffix = ".vtt"

    def render(self, output: TranscribeOutput) -> str:
        """Return the subtitles; `&`, `<` and `>` in text are escaped."""
        return render_subtitles(output, "vtt", lambda line: escape(line, quote=False))
