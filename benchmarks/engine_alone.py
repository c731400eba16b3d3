"""longform's engine without the pipeline around it: no Prefect, no Dask, no ffmpeg, no VAD.

The recording is decoded and cut first; the clock runs from the first micro chunk to the last
text, with the model loaded. Prints one line of JSON.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.corpus import decode
from longform.audio import to_samples, to_seconds
from longform.chunking.micro import micro_chunker
from longform.chunking.micro_chunk import MicroChunk
from longform.params import TranscribeParams, parse_params
from longform.settings import Settings
from longform.speech.batching import Batcher
from longform.speech.devices import choose_device, compute_types
from longform.speech.engine_choice import choose_engine, decode_options, worker_engine
from longform.speech.engines import close_engines


def cut(audio: Path, params: TranscribeParams) -> list[list[MicroChunk]]:
    """Return the micro chunks of a recording, by macro chunk."""
    pcm = decode(audio)
    size = to_samples(params.macro_chunk_size_sec)
    macro_chunks = []
    for start in range(0, len(pcm), size):
        chunker = micro_chunker(params, start)
        macro_chunks.append([*chunker.push(pcm[start : start + size]), *chunker.finish()])
    return macro_chunks


def transcribe(
    batcher: Batcher, macro_chunks: Sequence[Sequence[MicroChunk]], params: TranscribeParams
) -> None:
    """Send every micro chunk to the engine; return when all have their text."""
    options = decode_options(params)
    futures = []
    for chunks in macro_chunks:
        with batcher.open_stream(options) as stream:
            futures += [stream.submit(chunk) for chunk in chunks]
    for future in futures:
        future.result()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("audio", type=Path)
    parser.add_argument("--params", default="{}", help="JSON")
    given = parser.parse_args()
    params, settings = parse_params(json.loads(given.params)), Settings()
    macro_chunks = cut(given.audio, params)
    batcher = worker_engine(choose_engine(params, settings), settings)
    transcribe(batcher, [macro_chunks[0][:1]], params)  # what is allocated once is not counted
    before, started_sec = batcher.stats, time.monotonic()
    transcribe(batcher, macro_chunks, params)
    wall_sec = time.monotonic() - started_sec
    after = batcher.stats
    last = max(chunk.span.end_sample for chunks in macro_chunks for chunk in chunks)
    num_batches = after.num_batches - before.num_batches
    print(
        json.dumps(
            {
                "device": choose_device(params.device),
                "compute_type": compute_types(params.compute_type, choose_device(params.device))[0],
                "batch_size": after.batch_size,
                "wall_sec": round(wall_sec, 3),
                "times_real_time": round(to_seconds(last) / wall_sec, 1),
                "num_batches": num_batches,
                "fill": round(
                    (after.num_chunks - before.num_chunks) / (num_batches * after.batch_size), 3
                ),
            }
        )
    )
    close_engines()


if __name__ == "__main__":
    main()
