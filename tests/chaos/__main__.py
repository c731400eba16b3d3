"""`make chaos`: kill a job of 20 chunks at its persisted steps, resume it, print the table."""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.prefect_server import ensure_server, stop_server
from tests.chaos.arena import (
    NUM_CHUNKS,
    NUM_MISSING,
    Arena,
    KillPoint,
    Undisturbed,
    Verdict,
    open_arena,
)
from tests.chaos.chaos_recordings import CHUNK_SEC, recordings


@dataclass(frozen=True, slots=True)
class Part:
    """Which of the points: every so many, so that each part has all kinds."""

    number: int  # from 1
    of: int

    @classmethod
    def parse(cls, text: str) -> "Part":
        """Return the part that a text such as `2/4` names."""
        number, of = (int(word) for word in text.split("/"))
        if not 1 <= number <= of:
            raise ValueError(f"{text} is no part: write 1/{of} to {of}/{of}")
        return cls(number, of)


def points(arena: Arena, whole: Undisturbed, count: int, num_whole: int) -> list[KillPoint]:
    """Return where to kill: every persisted step of the last chunks' work, at other chunks each.

    The steps of one chunk are like those of another, so a job is brought to within two chunks of
    its end by the results of the undisturbed one. `num_whole` jobs are killed with all to do.
    """
    chosen = []
    for role, steps in whole.steps.items():
        places = [
            1 + round(place * (steps - 1) / max(1, num_whole - 1)) for place in range(num_whole)
        ]
        chosen += [KillPoint(role, place, None) for place in sorted(set(places))]
    for role, steps in arena.undisturbed(whole).steps.items():
        sys.stdout.write(
            f"{arena.media.name}: {role}, {steps} persisted steps with 2 chunks to do\n"
        )
        for turn in range(count // 2):
            first = turn * 7 % (NUM_CHUNKS - NUM_MISSING)
            chosen.append(KillPoint(role, 1 + turn % steps, first))
    return list(dict.fromkeys(chosen))


def campaign(arena: Arena, count: int, num_whole: int, part: "Part") -> Iterator[Verdict]:
    """Kill flow and worker in turn, and tell of each."""
    whole = arena.undisturbed()
    sys.stdout.write(f"{arena.media.name}: persisted steps of the whole job {whole.steps}\n")
    for point in points(arena, whole, count, num_whole)[part.number - 1 :: part.of]:
        verdict = arena.kill(point, whole)
        how = "survived" if verdict.is_good else str(verdict)
        sys.stdout.write(f"{arena.media.name}: {point}: {how}\n")
        sys.stdout.flush()
        yield verdict


def table(verdicts: dict[str, list[Verdict]]) -> list[str]:
    """Return a row for each recording and role."""
    head = (
        "recording",
        "killed",
        "runs",
        "kills",
        "extra max",
        "extra sum",
        "differ",
        "left",
        "open",
    )
    lines = [f"{head[0]:14}{head[1]:8}" + "".join(f"{one:>11}" for one in head[2:])]
    for name, found in verdicts.items():
        for role in dict.fromkeys(one.point.role for one in found):
            some = [one for one in found if one.point.role == role]
            figures = (
                len(some),
                sum(one.was_killed for one in some),
                max(one.num_extra for one in some),
                sum(one.num_extra for one in some),
                sum(not one.is_same for one in some),
                sum(bool(one.leftovers or one.trouble) for one in some),
                sum(bool(one.open_runs) for one in some),
            )
            lines.append(f"{name:14}{role:8}" + "".join(f"{one:>11}" for one in figures))
    return lines


def main() -> int:
    """Run the campaign; 1 where a job did not survive as it should."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--count", type=int, default=120, help="how many kills")
    parser.add_argument("--whole", type=int, default=3, help="whole jobs per recording and role")
    parser.add_argument("--only", default="", help="the recording of this name, and no other")
    parser.add_argument("--subflows", action="store_true", help="show each chunk as a flow run")
    parser.add_argument(
        "--part", type=Part.parse, default=Part(1, 1), help="1/4: the first of four parts of it"
    )
    given = parser.parse_args()
    verdicts: dict[str, list[Verdict]] = {}
    with tempfile.TemporaryDirectory(prefix="longform-chaos-") as folder:
        base = Path(folder)
        os.environ.pop("PREFECT_API_URL", None)
        os.environ["PREFECT_HOME"] = str(base / "none")
        server = ensure_server(base / "server")
        try:
            for media in (one for one in recordings(base) if given.only in one.name):
                place = base / media.stem
                with open_arena(place, media, CHUNK_SEC, server, subflows=given.subflows) as arena:
                    verdicts[media.name] = list(
                        campaign(arena, given.count // 2, given.whole, given.part)
                    )
        finally:
            stop_server(base / "server")
    for line in table(verdicts):
        sys.stdout.write(line + "\n")
    return 0 if all(one.is_good for found in verdicts.values() for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
