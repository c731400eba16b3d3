"""HTML: the page to read, hear and check a transcript, with the other formats inside."""

from longform.transcript.file_stem import file_stem
from longform.transcript.formats.json_format import JsonFormat
from longform.transcript.formats.rendering import Rendering
from longform.transcript.formats.srt import SrtFormat
from longform.transcript.formats.txt import TxtFormat
from longform.transcript.formats.vtt import VttFormat
from longform.transcript.page.document import PageFile, render_page

_DOWNLOADS = (
    ("srt", SrtFormat(), "application/x-subrip"),
    ("vtt", VttFormat(), "text/vtt"),
    ("txt", TxtFormat(), "text/plain"),
    ("json", JsonFormat(), "application/json"),
)


class HtmlFormat:
    """One self-contained file: no request leaves it, and it needs no other file."""

    suffix = ".html"

    def render(self, rendering: Rendering) -> str:
        """Return the document."""
        output = rendering.output
        stem = file_stem(output.provenance.source_name)
        downloads = [
            PageFile(name, f"{stem}{form.suffix}", mime, rendering.file(form))
            for name, form, mime in _DOWNLOADS
        ]
        return render_page(output, downloads)
