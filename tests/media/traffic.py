"""A whole run's reading of one recording by several processes, without a model or a cluster."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path

from longform.audio import Pcm, Span
from longform.chunking.macro import nominal_boundaries
from longform.media.decode.extract import extract_all, extract_window
from longform.media.model import Recording
from longform.media.probe.probe import probe
from longform.media.shared_blocks import discard_blocks
from longform.media.sources.open import open_source
from longform.net.policy import SourcePolicy
from longform.params import TranscribeParams
from longform.pipeline.planning import find_split

NUM_PROCESSES = 4


async def read_in_processes(
    url: str, policy: SourcePolicy, folder: Path, params: TranscribeParams
) -> int:
    """Read a recording as a run does, windows in 4 processes; return the number of samples.

    This process opens, probes and, where there are no windows, decodes. The others search
    for boundaries and decode the chunks, in turn, all at once.
    """
    source = await open_source(url, policy, folder)
    media = await probe(source, policy)
    recording = Recording(source=source, media=media, policy=policy)
    try:
        if media.access == "sequential":
            return await count(extract_all(recording))
        path = folder / "recording.json"
        path.write_text(recording.model_dump_json())
        (folder / "params.json").write_text(params.model_dump_json())
        workers = [_start(folder, number) for number in range(NUM_PROCESSES)]
        outputs = await asyncio.gather(
            *(asyncio.to_thread(worker.communicate, timeout=900) for worker in workers)
        )
        return sum(int(said) for said, _ in outputs)
    finally:
        discard_blocks(policy.block_dir, source.blocks)


def _start(folder: Path, number: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.media.traffic", str(folder), str(number)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


async def count(blocks: AsyncGenerator[Pcm, None]) -> int:
    """Return how many samples come."""
    async with aclosing(blocks):
        return sum([len(block) async for block in blocks])


async def work(folder: Path, number: int) -> int:
    """Do one process's part: every fourth boundary, then every fourth chunk."""
    recording = Recording.model_validate_json((folder / "recording.json").read_text())
    params = TranscribeParams.model_validate_json((folder / "params.json").read_text())
    total = recording.media.num_samples_estimate or 0
    boundaries = nominal_boundaries(total, params)
    for boundary in boundaries[number::NUM_PROCESSES]:
        await find_split(recording, boundary, params)
    # Boundaries at their nominal places: what the chunks read is the same to a second.
    edges = [0, *boundaries, total]
    spans = [Span(start, end) for start, end in pairwise(edges)]
    num_samples = 0
    for span in spans[number::NUM_PROCESSES]:
        last = span is spans[-1]
        num_samples += await count(extract_window(recording, span, open_ended=last))
    return num_samples


if __name__ == "__main__":
    print(asyncio.run(work(Path(sys.argv[1]), int(sys.argv[2]))))
