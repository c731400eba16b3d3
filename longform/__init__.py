"""longform: hours of speech in, an exact, time-coded transcript out.

This package is the domain: plain Python that knows media, chunking, speech and
transcripts, and knows nothing of Prefect or Dask.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Loaded when they are asked for: the version alone must cost nothing.
_PUBLIC = {
    "Settings": "longform.settings",
    "TranscribeOutput": "longform.transcript.output",
    "TranscribeParams": "longform.params",
    "seal": "longform.media.sources.signed_urls",
}


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
