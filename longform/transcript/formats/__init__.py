"""The files that a transcript can be written as, by the names that people ask for them."""

from collections.abc import Mapping
from types import MappingProxyType

from longform.transcript.formats.diarized_json import DiarizedJsonFormat
from longform.transcript.formats.html_format import HtmlFormat
from longform.transcript.formats.json_format import JsonFormat
from longform.transcript.formats.rendering import Format
from longform.transcript.formats.srt import SrtFormat
from longform.transcript.formats.tsv import TsvFormat
from longform.transcript.formats.txt import TxtFormat
from longform.transcript.formats.vtt import VttFormat

FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "json": JsonFormat(),
        "srt": SrtFormat(),
        "vtt": VttFormat(),
        "txt": TxtFormat(),
        "tsv": TsvFormat(),
        "html": HtmlFormat(),
        "diarized_json": DiarizedJsonFormat(),
    }
)

# Written only where they are asked for by name.
ON_REQUEST = frozenset({"diarized_json"})

__all__ = ["FORMATS", "ON_REQUEST", "Format"]
