"""What macro boundaries cost: errors and differences beside them, and how far words shift.

    python -m benchmarks.boundaries [--only NAME] [--sizes 30,60,120,300]

Every recording is transcribed whole, in macro chunks of each size, and in the same with the
grid of boundaries moved by half a chunk. Counted are words that differ from the whole text,
and errors against the reference, within 2 s of a boundary, per 100 boundaries; the same at
random points, of the same run, is subtracted. A second set has boundaries in the middle of
words on purpose: utterances joined without a pause, and no room to search for one.
"""

import argparse
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.corpus import Recording, decode, joined, read_manifest, utterances
from benchmarks.quality import line
from benchmarks.recordings import media_folder
from benchmarks.scoring import units
from benchmarks.systems import transcribe_pcm
from longform.audio import SAMPLE_RATE_HZ, Pcm, to_samples
from longform.chunking.macro import Split, choose_split, nominal_boundaries, search_window
from longform.params import TranscribeParams
from longform.speech.engines import close_engines
from longform.transcript.segment import Segment

SIZES_SEC = (30, 60, 120, 300)
BESIDE_SAMPLES = 2 * SAMPLE_RATE_HZ
MIN_RECORDING_SEC = 80  # shorter ones have no boundary worth the name
RANDOM_POINTS = 400  # of each run; many, for they are what is subtracted
_SEED = 7


@dataclass(frozen=True)
class TimedUnit:
    """A normalised word with the middle of its time, in samples."""

    text: str
    start_sample: int
    middle_sample: int


@dataclass
class Tally:
    """Differences near boundaries and near random points, over all recordings of one size."""

    num_boundaries: int = 0
    num_guarded: int = 0
    near: int = 0
    num_random: int = 0
    near_random: int = 0
    shifts_sec: list[float] = field(default_factory=list)

    @property
    def excess(self) -> float:
        """Differences per 100 boundaries, beyond those per 100 random points."""
        if not self.num_boundaries:
            return 0.0
        by_chance = self.near_random / self.num_random if self.num_random else 0.0
        return 100 * (self.near / self.num_boundaries - by_chance)


def timed_units(segments: Sequence[Segment], language: str | None) -> list[TimedUnit]:
    """Return the normalised words of a transcript with their times."""
    return [
        TimedUnit(text, word.start_sample, (word.start_sample + word.end_sample) // 2)
        for segment in segments
        for word in segment.words
        for text in units(word.text, language)
    ]


def differences(expected: Sequence[str], found: Sequence[TimedUnit]) -> list[int]:
    """Return the times of the words in which a transcript differs from a text."""
    import jiwer

    if not expected or not found:
        return [unit.middle_sample for unit in found]
    aligned = jiwer.process_words(" ".join(expected), " ".join(unit.text for unit in found))
    places = []
    for part in aligned.alignments[0]:
        if part.type != "equal":
            at = min(part.hyp_start_idx, len(found) - 1)
            number = max(part.ref_end_idx - part.ref_start_idx, part.hyp_end_idx - at)
            places += [found[min(at + n, len(found) - 1)].middle_sample for n in range(number)]
    return places


def shifts_sec(whole: Sequence[TimedUnit], cut: Sequence[TimedUnit]) -> list[float]:
    """Return how far the starts of the words that agree are apart, in seconds."""
    import jiwer

    texts = [" ".join(unit.text for unit in units) for units in (whole, cut)]
    return [
        abs(whole[part.ref_start_idx + n].start_sample - cut[part.hyp_start_idx + n].start_sample)
        / SAMPLE_RATE_HZ
        for part in jiwer.process_words(*texts).alignments[0]
        if part.type == "equal"
        for n in range(part.ref_end_idx - part.ref_start_idx)
    ]


def count_near(places: Sequence[int], points: Sequence[int]) -> int:
    """Return how many of the places lie within two seconds of a point, over all points."""
    return sum(abs(place - point) <= BESIDE_SAMPLES for point in points for place in places)


def grid(pcm: Pcm, params: TranscribeParams, *, is_shifted: bool) -> list[Split]:
    """Return the splits of a recording; shifted: half a chunk later."""
    offset = to_samples(params.macro_chunk_size_sec / 2) if is_shifted else 0
    found = []
    for boundary in nominal_boundaries(len(pcm) - offset, params):
        window = search_window(boundary + offset, len(pcm), params)
        found.append(choose_split([pcm[window.start_sample : window.end_sample]], window, params))
    return found


def add(
    tally: Tally,
    places: Sequence[int],
    splits: Sequence[Split],
    num_samples: int,
) -> None:
    """Count the differences of one run."""
    tally.num_boundaries += len(splits)
    tally.num_guarded += sum(not split.is_silent for split in splits)
    tally.near += count_near(places, [split.sample for split in splits])
    rng = random.Random(_SEED)
    points = [rng.randrange(num_samples) for _ in range(RANDOM_POINTS)]
    tally.num_random += len(points)
    tally.near_random += count_near(places, points)


def measure(
    recordings: Sequence[Recording], sizes: Sequence[int]
) -> tuple[dict[int, Tally], dict[int, Tally]]:
    """Return tallies by chunk size: against the whole run, and against the reference."""
    against_whole = {size: Tally() for size in sizes}
    against_reference = {size: Tally() for size in sizes}
    for recording in recordings:
        pcm = decode(recording.path)
        if len(pcm) < MIN_RECORDING_SEC * SAMPLE_RATE_HZ:
            continue
        reference = units(recording.reference, recording.language)
        whole = timed_units(transcribe_pcm(pcm, [], TranscribeParams()), recording.language)
        for size in sizes:
            params = TranscribeParams(macro_chunk_size_sec=size)
            for is_shifted in (False, True):
                splits = grid(pcm, params, is_shifted=is_shifted)
                if not splits:
                    continue
                cut = timed_units(transcribe_pcm(pcm, splits, params), recording.language)
                text = [unit.text for unit in whole]
                add(against_whole[size], differences(text, cut), splits, len(pcm))
                add(against_reference[size], differences(reference, cut), splits, len(pcm))
                against_whole[size].shifts_sec += shifts_sec(whole, cut)
        print(f"    {recording.name} done", file=sys.stderr, flush=True)
    return against_whole, against_reference


def in_words(recording: Recording) -> tuple[Pcm, str, list[Split]]:
    """Return utterances without their pauses, their text, and a split in a word every 20 s."""
    parts = utterances(recording)
    pcm = np.concatenate([part.pcm for part in parts])
    whole = transcribe_pcm(pcm, [], TranscribeParams())
    words = [word for segment in whole for word in segment.words]
    splits = []
    for at in range(20 * SAMPLE_RATE_HZ, len(pcm) - 20 * SAMPLE_RATE_HZ, 20 * SAMPLE_RATE_HZ):
        long = [w for w in words if abs(w.start_sample - at) <= 5 * SAMPLE_RATE_HZ]
        longest = max(long, key=lambda word: word.end_sample - word.start_sample)
        middle = (longest.start_sample + longest.end_sample) // 2
        splits.append(Split(sample=middle, kind="quiet", is_silent=False))
    return pcm, joined(parts), splits


def print_controlled(recording: Recording) -> None:
    """Print what boundaries inside words cost, with guards and without."""
    pcm, reference, splits = in_words(recording)
    wanted = units(reference, recording.language)
    unguarded = [split.model_copy(update={"is_silent": True}) for split in splits]
    runs: dict[str, list[Split]] = {"one chunk": [], "cut, no guard": unguarded, "guard": splits}
    print(f"\nBoundaries inside words, {recording.name}: {len(splits)} of them\n")
    print(line("run", "errors", "errors within 2 s of a boundary"))
    print("|---|--:|--:|")
    for name, chosen in runs.items():
        found = timed_units(transcribe_pcm(pcm, chosen, TranscribeParams()), recording.language)
        places = differences(wanted, found)
        near = count_near(places, [split.sample for split in splits])
        print(line(name, len(places), near), flush=True)


def print_tallies(title: str, tallies: dict[int, Tally]) -> None:
    """Print differences per 100 boundaries."""
    print(f"\n{title}\n")
    print(line("macro chunk s", "boundaries", "guarded", "within 2 s", "per 100",
               "per 100 random points", "excess"))  # fmt: skip
    print("|--:|" + "--:|" * 6)
    for size, tally in tallies.items():
        if tally.num_boundaries:
            print(line(size, tally.num_boundaries, tally.num_guarded, tally.near,
                       f"{100 * tally.near / tally.num_boundaries:.1f}",
                       f"{100 * tally.near_random / tally.num_random:.1f}",
                       f"{tally.excess:.1f}"))  # fmt: skip


def print_shifts(tallies: dict[int, Tally]) -> None:
    """Print how far word starts move when a recording is cut."""
    print("\nShift of word starts against the whole run\n")
    print(line("macro chunk s", "words", "median ms", "99th percentile ms", "largest ms",
               "over 500 ms"))  # fmt: skip
    print("|--:|" + "--:|" * 5)
    for size, tally in tallies.items():
        if tally.shifts_sec:
            ms = sorted(1_000 * shift for shift in tally.shifts_sec)
            print(line(size, len(ms), f"{median(ms):.0f}", f"{ms[len(ms) * 99 // 100]:.0f}",
                       f"{ms[-1]:.0f}", sum(each > 500 for each in ms)))  # fmt: skip


def main() -> int:
    """Run the measurement; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--media", type=Path, help="default: LONGFORM_MEDIA")
    parser.add_argument("--only", default="", help="recordings whose name contains this")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES_SEC)), help="in seconds")
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    listed = read_manifest(options.media or media_folder())
    spoken = [each for each in listed if each.language and options.only in each.name]
    for recording in spoken:
        if recording.name == "lj_printing.m4a":
            print_controlled(recording)
    against_whole, against_reference = measure(spoken, sizes)
    print_tallies("Words that differ from the whole run", against_whole)
    print_tallies("Errors against the reference", against_reference)
    print_shifts(against_whole)
    close_engines()
    return 0


if __name__ == "__main__":
    sys.exit(main())
