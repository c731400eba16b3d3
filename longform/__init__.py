"""longform: hours of speech in, an exact, time-coded transcript out.

This package is the domain: plain Python that knows media, chunking, speech and
transcripts, and knows nothing of Prefect or Dask.
"""

__version__ = "0.1.0"
