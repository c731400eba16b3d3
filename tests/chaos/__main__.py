"""`make chaos`: kill a job of 20 chunks at its persisted steps, resume it, print the table."""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from infra.server import ensure_server, stop_server
from tests.chaos.arena import Arena, Verdict, open_arena
from tests.chaos.recordings import CHUNK_SEC, recordings


def spread(count: int, steps: int) -> list[int]:
    """Return `count` of the steps 1 to `steps`, the first and the last among them, evenly."""
    if count >= steps:
        return list(range(1, steps + 1))
    return sorted({1 + round(place * (steps - 1) / max(1, count - 1)) for place in range(count)})


def campaign(arena: Arena, count: int) -> Iterator[Verdict]:
    """Kill flow and worker in turn, `count` times in all, and tell of each."""
    undisturbed = arena.undisturbed()
    sys.stdout.write(f"{arena.media.name}: persisted steps {undisturbed.steps}\n")
    points = [(role, spread(count // 2, steps)) for role, steps in undisturbed.steps.items()]
    for role, step in [(role, step) for role, steps in points for step in steps]:
        verdict = arena.kill(role, step, undisturbed)
        how = "survived" if verdict.is_good else str(verdict)
        sys.stdout.write(f"{arena.media.name}: {role} killed at step {step}: {how}\n")
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
        for role in dict.fromkeys(one.role for one in found):
            some = [one for one in found if one.role == role]
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
    parser.add_argument("--only", default="", help="the recording of this name, and no other")
    parser.add_argument("--subflows", action="store_true", help="show each chunk as a flow run")
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
                    verdicts[media.name] = list(campaign(arena, given.count // 2))
        finally:
            stop_server(base / "server")
    for line in table(verdicts):
        sys.stdout.write(line + "\n")
    return 0 if all(one.is_good for found in verdicts.values() for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
