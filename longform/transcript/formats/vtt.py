"""WebVTT subtitles (https://www.w3.org/TR/webvtt1/)."""

from html import escape

from longform.transcript.formats.rendering import Rendering
from longform.transcript.formats.subtitles import Markup, render_subtitles


def _escaped(text: str) -> str:
    return escape(text, quote=False)


_MARKUP = Markup(escape=_escaped, name=lambda voice, text: f"<v {_escaped(voice)}>{text}</v>")


class VttFormat:
    """Cues below the header WEBVTT; braces and backslashes have no meaning here."""

    suffix = ".vtt"

    def render(self, rendering: Rendering) -> str:
        """Return the subtitles; `&`, `<` and `>` in text are escaped."""
        return render_subtitles(rendering, "vtt", _MARKUP)
