"""SubRip subtitles."""

from longform.transcript.formats.rendering import Rendering
from longform.transcript.formats.subtitles import Markup, render_subtitles

# SubRip has no escapes: players take <b>, {\an8} and --> for markup wherever they stand, so
# speech that really has these signs is shown with others that look alike.
_LOOK_ALIKES = str.maketrans("<>{}\\", "‹›｛｝＼")  # noqa: RUF001


def _escaped(text: str) -> str:
    return text.translate(_LOOK_ALIKES)


_MARKUP = Markup(escape=_escaped, name=lambda voice, text: f"[{_escaped(voice)}]: {text}")


class SrtFormat:
    """Numbered cues with a comma before the milliseconds."""

    suffix = ".srt"

    def render(self, rendering: Rendering) -> str:
        """Return the subtitles; no text in them is read as markup."""
        return render_subtitles(rendering, "srt", _MARKUP)
