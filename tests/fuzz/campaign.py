"""Many mutants through opening, probe and extraction: how did each end?"""

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, local

from tests.fuzz.mutations import mutant
from tests.support.media_worker import End, MediaWorker
from tests.support.odd_media import Kitchen

CONTAINERS = (
    "wav",
    "flac",
    "mp3",
    "m4a",
    "fragments.mp4",
    "ogg",
    "webm",
    "mkv",
    "aac",
    "ts",
    "wma",
    "avi",
)
HANG_SEC = 20.0
MEMORY_LIMIT_BYTES = 10**9


@dataclass
class Report:
    """How the mutants of each container ended, and which of them ended badly."""

    ends: Counter[tuple[str, str]] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)
    peak_bytes: int = 0
    slowest_sec: float = 0.0

    def table(self) -> Iterator[str]:
        """Yield the lines of a table: containers down, ends across."""
        outcomes = sorted({outcome for _, outcome in self.ends})
        yield "".join(f"{title:>21}" for title in ("container", *outcomes))
        for container in CONTAINERS:
            numbers = [str(self.ends[container, outcome]) for outcome in outcomes]
            yield "".join(f"{cell:>21}" for cell in (container, *numbers))
        yield (
            f"mutants {self.ends.total()}, bad ends {len(self.bad)}; slowest "
            f"{self.slowest_sec:.1f} s, largest process {self.peak_bytes / 1e6:.0f} MB"
        )
        yield from self.bad


def mutant_number(index: int, seed: int, sounds: dict[str, bytes]) -> tuple[str, bytes]:
    """Return the container and the content of one mutant; the same for the same numbers."""
    dice = random.Random(f"{seed}/{index}")
    container = CONTAINERS[index % len(CONTAINERS)]
    others = [sounds[name] for name in CONTAINERS if name != container]
    return container, mutant(sounds[container], dice, others)


def badness(end: End) -> str:
    """Return what is wrong with an end; nothing where a recording may end so."""
    if not end.is_named:
        return f"{end.outcome} {end.message}"
    if end.message and not end.message.isprintable():
        return f"a message of several lines: {end.message!r}"
    if end.children:
        return f"children left: {', '.join(end.children)}"
    if max(end.peak_bytes, end.peak_child_bytes) > MEMORY_LIMIT_BYTES:
        return f"{end.peak_bytes / 1e6:.0f} and {end.peak_child_bytes / 1e6:.0f} MB"
    return ""


def run(kitchen: Kitchen, count: int, seed: int, keep: Path, jobs: int = 1) -> Report:
    """Try `count` mutants; copies of those that end badly lie in `keep` afterwards."""
    sounds = {name: kitchen.sound[name] for name in CONTAINERS}
    report, lock, own, workers = Report(), Lock(), local(), []

    def try_one(index: int) -> None:
        if not hasattr(own, "worker"):
            own.worker = MediaWorker(HANG_SEC)
            workers.append(own.worker)
        container, content = mutant_number(index, seed, sounds)
        path = kitchen.folder / f"mutant-{seed}-{index}.{container}"
        path.write_bytes(content)
        end = own.worker.end_of(str(path))
        wrong = badness(end)
        with lock:
            report.ends[container, end.outcome] += 1
            report.slowest_sec = max(report.slowest_sec, end.wall_sec)
            report.peak_bytes = max(report.peak_bytes, end.peak_bytes, end.peak_child_bytes)
            if wrong:
                keep.mkdir(parents=True, exist_ok=True)
                report.bad.append(f"{shutil.copy(path, keep)}: {wrong}")
        path.unlink()

    try:
        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(try_one, range(count)))
    finally:
        for worker in workers:
            worker.close()
    return report
