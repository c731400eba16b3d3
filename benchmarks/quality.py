"""Errors on every recording and on hard cases made of them, beside faster-whisper's three ways.

    python -m benchmarks.quality [--only NAME] [--baseline-cache FILE] [--full-pipeline]

The same weights, beam 5, float32, one thread, with word timestamps: `WhisperModel.transcribe`,
the same with `vad_filter`, `BatchedInferencePipeline` (batch 8), and longform. Exits with 1
where a goal is missed: the lowest total of the four, at most 1.1 times the CPU seconds of
`BatchedInferencePipeline`, and not a word where nothing is said.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.corpus import Recording, read_manifest
from benchmarks.hard_cases import make_hard_cases
from benchmarks.recordings import REPO_ROOT, media_folder
from benchmarks.scoring import Errors, count_errors, total
from benchmarks.systems import Baselines, Heard, longform_hears
from longform.params import parse_params
from longform.speech.engines import close_engines

OURS = "longform"
SYSTEMS = (*Baselines.names, OURS)
MAX_CPU_SHARE = 1.1  # of BatchedInferencePipeline


@dataclass(frozen=True)
class Row:
    """What the systems heard in one recording, in the order of `SYSTEMS`."""

    recording: Recording
    heard: tuple[Heard, ...]

    def errors(self, system: str) -> Errors:
        """Return the errors of one system."""
        text = self.heard[SYSTEMS.index(system)].text
        return count_errors(self.recording.reference, text, self.recording.language)


@dataclass(frozen=True)
class Totals:
    """The sums of one system over a set of recordings."""

    spoken: Errors
    words_in_nothing: int
    cpu_sec: float


def totals(rows: Iterable[Row], system: str) -> Totals:
    """Return the sums of a system."""
    scored = [(row, row.errors(system)) for row in rows]
    return Totals(
        total(errors for row, errors in scored if row.recording.language),
        sum(errors.insertions for row, errors in scored if not row.recording.language),
        sum(row.heard[SYSTEMS.index(system)].cpu_sec for row, _ in scored),
    )


def line(*cells: object) -> str:
    """Return a line of a markdown table."""
    return f"| {' | '.join(map(str, cells))} |"


def print_row(row: Row) -> None:
    """Print the error rates of one recording; the number of words where nothing is said."""
    errors = [row.errors(system) for system in SYSTEMS]
    is_spoken = row.recording.language is not None
    cells = [f"{e.rate:.4f}" if is_spoken else f"{e.insertions} words" for e in errors]
    print(line(row.recording.name, errors[0].num_units, *cells), flush=True)


def print_totals(title: str, rows: Sequence[Row]) -> None:
    """Print what each system comes to."""
    print(f"\n{title}\n")
    print(line("system", "WER", "subst.", "deleted", "inserted", "5-gram duplicates",
               "words in nothing", "CPU s"))  # fmt: skip
    print("|---|" + "--:|" * 7)
    for system in SYSTEMS:
        found = totals(rows, system)
        e = found.spoken
        print(line(system, f"{e.rate:.4f}", e.substitutions, e.deletions, e.insertions,
                   e.duplicates, found.words_in_nothing, f"{found.cpu_sec:.0f}"))  # fmt: skip


def missed_goals(rows: Sequence[Row]) -> list[str]:
    """Return what longform does not reach."""
    ours, batched = totals(rows, OURS), totals(rows, "batched")
    best = min(totals(rows, system).spoken.rate for system in Baselines.names)
    share = ours.cpu_sec / batched.cpu_sec if batched.cpu_sec else 0.0
    goals = {
        f"lowest total error rate: {ours.spoken.rate:.4f}, of the others {best:.4f}": (
            ours.spoken.rate < best
        ),
        f"CPU at most {MAX_CPU_SHARE} of batched: {share:.2f}": share <= MAX_CPU_SHARE,
        f"no words in nothing: {ours.words_in_nothing}": ours.words_in_nothing == 0,
    }
    print()
    for goal, is_met in goals.items():
        print(f"{'met   ' if is_met else 'missed'}  {goal}")
    return [goal for goal, is_met in goals.items() if not is_met]


def by_command(recordings: Sequence[Recording]) -> dict[Path, Heard]:
    """Return longform's texts through the whole pipeline: `longform transcribe --json`."""
    paths = [recording.path for recording in recordings]
    command = [sys.executable, "-m", "cli", "transcribe", *map(str, paths), "--json", "--no-cache"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [*command, "-o", folder], check=True, stdout=subprocess.PIPE, cwd=REPO_ROOT
        )
    outputs = map(json.loads, done.stdout.splitlines())
    texts = ("".join(segment["text"] for segment in output["segments"]) for output in outputs)
    return {path: Heard(text, 0.0) for path, text in zip(paths, texts, strict=True)}


def main() -> int:
    """Run the comparison; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--media", type=Path, help="default: LONGFORM_MEDIA")
    parser.add_argument("--only", default="", help="recordings whose name contains this")
    parser.add_argument("--full-pipeline", action="store_true", help="through the command; no CPU")
    parser.add_argument("--baseline-cache", type=Path, help="file for faster-whisper's results")
    parser.add_argument("--params", default="{}", help="longform's parameters, as JSON")
    parser.add_argument("--texts", action="store_true", help="print what was heard")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return compare(options, Path(folder))


def compare(options: argparse.Namespace, folder: Path) -> int:
    """Score every recording, print the tables, and return the exit code."""
    params = parse_params(json.loads(options.params))
    listed = read_manifest(options.media or media_folder())
    hard = make_hard_cases(listed, folder, options.only)
    plain = [recording for recording in listed if options.only in recording.name]
    baselines = Baselines(options.baseline_cache)
    commanded = by_command([*plain, *hard]) if options.full_pipeline else {}
    print(line("recording", "words", *SYSTEMS))
    print("|---|" + "--:|" * (1 + len(SYSTEMS)))

    def score(recording: Recording) -> Row:
        ours = commanded.get(recording.path) or longform_hears(recording.path, params)
        row = Row(recording, (*baselines.hear(recording.path), ours))
        print_row(row)
        if options.texts:
            print(f"    {ours.text.strip()}")
        return row

    rows = {"Recordings": [score(each) for each in plain], "Hard cases": [score(h) for h in hard]}
    close_engines()
    for title, scored in rows.items():
        print_totals(title, scored)
    everything = [row for scored in rows.values() for row in scored]
    print_totals("All", everything)
    return 1 if missed_goals(everything) else 0


if __name__ == "__main__":
    sys.exit(main())
