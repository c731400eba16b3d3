"""What longform is measured against: faster-whisper's BatchedInferencePipeline, plain."""

import argparse
from pathlib import Path

from faster_whisper import BatchedInferencePipeline, WhisperModel


def main() -> None:
    """Transcribe one recording and write its text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("audio")
    parser.add_argument("model", help="folder of a CTranslate2 model")
    parser.add_argument("output", type=Path, help="text file to write")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--beam-size", type=int, default=5)
    parser.add_argument("--no-word-timestamps", action="store_true")
    given = parser.parse_args()
    pipeline = BatchedInferencePipeline(WhisperModel(given.model, device=given.device))
    segments, _ = pipeline.transcribe(
        given.audio,
        beam_size=given.beam_size,
        batch_size=given.batch_size,
        word_timestamps=not given.no_word_timestamps,
    )
    with given.output.open("w") as output:
        for segment in segments:
            output.write(segment.text.strip() + "\n")


if __name__ == "__main__":
    main()
