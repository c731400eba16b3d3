"""One run of the flow in a process of its own, which may be killed at any moment."""

import asyncio
import atexit
import os
from collections.abc import Mapping
from pathlib import Path

import flows.transcribe  # noqa: F401  # before the fork: it takes seconds
from tests.chaos import kill_points

FORMATS = ("json", "srt", "vtt", "txt", "tsv")  # not the page: it holds the JSON, and the audio


def run_flow(media: Path, job: Path, chunk_sec: int, environment: Mapping[str, str]) -> None:
    """Transcribe `media` with everything that is kept below the folder `job`."""
    from flows.transcribe import transcribe
    from longform.params import TranscribeParams

    os.environ.update(environment)
    os.chdir(job)
    kill_points.watch("flow")
    params = TranscribeParams(macro_chunk_size_sec=chunk_sec, split_search_sec=1)
    asyncio.run(transcribe(str(media), params, output_dir=str(job / "out"), output_formats=FORMATS))
    # Counted before the exit functions: what they do is Prefect's.
    (job.parent / f"steps-{job.name}").write_text(str(kill_points.steps_of(str(job))))
    atexit._run_exitfuncs()  # a child of multiprocessing skips them, and Prefect's records go there
