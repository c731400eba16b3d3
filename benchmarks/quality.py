"""Word error rate of every recording, beside faster-whisper's two ways on the same weights.

    python -m benchmarks.quality [--media DIR] [--only NAME] [--full-pipeline]

Three columns: `WhisperModel.transcribe`, `BatchedInferencePipeline` (batch 8) and longform,
all with beam 5 and the same number type. Texts are compared after Whisper's normaliser
(English for English, basic for the rest). Exits with 1 where longform is worse than the
better of the two by more than 0.01 on any recording, not better in total, or finds text in
a recording without speech.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from longform.chunking.micro import micro_chunker
from longform.chunking.micro_chunk import Pcm
from longform.params import TranscribeParams
from longform.settings import Settings
from longform.speech.engine_choice import choose_engine, decode_options
from longform.speech.engines import close_engines, loaded_engine
from longform.speech.weights import resolve

TOLERANCE = 0.01  # of word error rate, on one recording
BATCH_SIZE = 8
BLOCK_SAMPLES = 16_000  # 1 s; as audio arrives from ffmpeg
REPO_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Recording:
    """A recording with what is said in it; `language` is None where nothing is."""

    path: Path
    language: str | None
    reference: str


@dataclass(frozen=True)
class Score:
    """Errors of the three systems on one recording, and the words of its reference."""

    name: str
    num_words: int
    sequential: int
    batched: int
    ours: int

    def rates(self) -> tuple[float, float, float]:
        """Return the three word error rates; where nothing is said, the words invented."""
        words = self.num_words or 1
        return self.sequential / words, self.batched / words, self.ours / words

    @property
    def is_missed(self) -> bool:
        """Whether ours is worse than the goal."""
        sequential, batched, ours = self.rates()
        return ours > (min(sequential, batched) + TOLERANCE if self.num_words else 0)


def read_manifest(media: Path) -> list[Recording]:
    """Return the recordings that `manifest.jsonl` lists."""
    entries = map(json.loads, (media / "manifest.jsonl").read_text().splitlines())
    return [
        Recording(
            media / entry["file"],
            entry["language"],
            (media / entry["reference_text_file"]).read_text() if entry["language"] else "",
        )
        for entry in entries
    ]


def decode(path: Path) -> Pcm:
    """Return all audio of a file as int16 at 16 kHz; raw GSM has no header to tell it by."""
    demuxer = ["-f", "gsm"] if path.suffix == ".gsm" else []
    command = ["ffmpeg", "-nostdin", "-v", "error", *demuxer, "-i", str(path)]
    command += ["-vn", "-map", "0:a:0", "-ac", "1", "-ar", "16000", "-f", "s16le", "-"]
    output = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(output, np.int16)


def transcribe_as_workers_do(path: Path) -> str:
    """Return longform's text by the code that workers run, without Prefect and Dask."""
    params, settings = TranscribeParams(), Settings()
    pcm = decode(path)
    chunker = micro_chunker(params, 0)
    batcher = loaded_engine(choose_engine(params, settings), settings.home)
    futures = []
    with batcher.open_stream(decode_options(params)) as stream:
        for start in range(0, len(pcm), BLOCK_SAMPLES):
            chunks = chunker.push(pcm[start : start + BLOCK_SAMPLES])
            futures += [stream.submit(chunk) for chunk in chunks]
        futures += [stream.submit(chunk) for chunk in chunker.finish()]
    segments = [segment for future in futures for segment in future.result().segments]
    return "".join(segment.text for segment in segments)


def transcribe_by_command(paths: Sequence[Path]) -> dict[Path, str]:
    """Return longform's texts through the whole pipeline: `longform transcribe --json`."""
    command = [sys.executable, "-m", "cli", "transcribe", *paths, "--json", "--no-cache"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [*command, "-o", folder], check=True, stdout=subprocess.PIPE, cwd=REPO_ROOT
        )
    outputs = map(json.loads, done.stdout.splitlines())
    return {
        path: "".join(segment["text"] for segment in output["segments"])
        for path, output in zip(paths, outputs, strict=True)
    }


class Baselines:
    """faster-whisper's two ways; with a cache file, for they do not change between runs."""

    def __init__(self, cache_file: Path | None) -> None:
        self._weights = resolve("base", Settings().home)
        self._cache_file = cache_file
        known = cache_file is not None and cache_file.is_file()
        self._texts: dict[str, list[str]] = (
            json.loads(cache_file.read_text()) if cache_file is not None and known else {}
        )

    def texts(self, path: Path) -> tuple[str, str]:
        """Return the sequential and the batched text of a recording."""
        key = hashlib.sha256(path.read_bytes() + self._weights.sha256.encode()).hexdigest()
        if key not in self._texts:
            self._texts[key] = self._transcribe(path)
            if self._cache_file is not None:
                self._cache_file.write_text(json.dumps(self._texts))
        sequential, batched = self._texts[key]
        return sequential, batched

    def _transcribe(self, path: Path) -> list[str]:
        from faster_whisper import BatchedInferencePipeline

        audio = decode(path).astype(np.float32) / 32_768
        model = self._model()
        sequential, _ = model.transcribe(audio)
        batched, _ = BatchedInferencePipeline(model).transcribe(audio, batch_size=BATCH_SIZE)
        return ["".join(s.text for s in sequential), "".join(s.text for s in batched)]

    @cache  # noqa: B019 - one instance per run
    def _model(self) -> Any:
        from faster_whisper import WhisperModel

        return WhisperModel(str(self._weights.path), device="cpu", compute_type="float32")


def num_errors(recording: Recording, text: str) -> tuple[int, int]:
    """Return word errors of `text` and the words of the reference, both normalised."""
    import jiwer

    normalise = _normaliser(recording.language)
    reference, heard = normalise(recording.reference), normalise(text)
    if not reference.strip() or not heard.strip():
        return len(reference.split()) + len(heard.split()), len(reference.split())
    found = jiwer.process_words(reference, heard)
    errors = found.substitutions + found.deletions + found.insertions
    return errors, len(reference.split())


@cache
def _normaliser(language: str | None) -> Callable[[str], str]:
    from whisper_normalizer.basic import BasicTextNormalizer
    from whisper_normalizer.english import EnglishTextNormalizer

    normaliser: Callable[[str], str] = (
        EnglishTextNormalizer() if language == "en" else BasicTextNormalizer()
    )
    return normaliser


def score(recording: Recording, texts: Iterable[str]) -> Score:
    """Return the errors of the three texts."""
    counts = [num_errors(recording, text) for text in texts]
    (sequential, words), (batched, _), (ours, _) = counts
    return Score(recording.path.name, words, sequential, batched, ours)


def report(scores: list[Score]) -> bool:
    """Print the totals and what was missed; return whether every goal was met."""
    spoken = [each for each in scores if each.num_words]
    total = Score(
        "total",
        sum(each.num_words for each in spoken),
        sum(each.sequential for each in spoken),
        sum(each.batched for each in spoken),
        sum(each.ours for each in spoken),
    )
    print(row(total))
    missed = [each.name for each in scores if each.is_missed]
    is_better = total.ours < min(total.sequential, total.batched)
    print(f"better in total: {is_better}; missed on: {', '.join(missed) or 'none'}")
    return is_better and not missed


def row(each: Score) -> str:
    """Return one line of the table."""
    rates = "  ".join(f"{rate:10.4f}" for rate in each.rates())
    return f"{each.name:26s} {each.num_words:6d}  {rates}  {'missed' if each.is_missed else ''}"


def main() -> int:
    """Run the comparison; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    media = os.environ.get("LONGFORM_MEDIA", REPO_ROOT.parent / "shared" / "media")
    parser.add_argument("--media", type=Path, default=Path(media))
    parser.add_argument("--only", default="", help="recordings whose name contains this")
    parser.add_argument("--full-pipeline", action="store_true", help="through the command")
    parser.add_argument("--baseline-cache", type=Path, help="file for faster-whisper's texts")
    parser.add_argument("--texts", action="store_true", help="print what was heard")
    options = parser.parse_args()

    baselines = Baselines(options.baseline_cache)
    recordings = [each for each in read_manifest(options.media) if options.only in each.path.name]
    ours = transcribe_as_workers_do
    if options.full_pipeline:
        ours = transcribe_by_command([each.path for each in recordings]).__getitem__
    print(f"{'recording':26s} {'words':>6s}  {'sequential':>10s}  {'batched':>10s}  {'ours':>10s}")
    scores, started = [], time.monotonic()
    for recording in recordings:
        text = ours(recording.path)
        scores.append(score(recording, (*baselines.texts(recording.path), text)))
        print(row(scores[-1]), flush=True)
        if options.texts:
            print(f"    {text.strip()}")
    close_engines()
    is_met = report(scores)
    print(f"{time.monotonic() - started:.0f} s")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
