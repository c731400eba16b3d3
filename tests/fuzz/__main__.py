"""`make fuzz`: mutate recordings, decode them, and print how they ended."""

import argparse
import sys
import tempfile
from pathlib import Path

from longform.media.decode.ffmpeg_args import find_ffmpeg
from tests.fuzz import campaign
from tests.support.odd_media import Kitchen


def main() -> int:
    """Run a campaign; 1 where a mutant ended badly."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=2_000, help="how many mutants")
    parser.add_argument("--seed", type=int, default=1, help="which ones")
    parser.add_argument("--jobs", type=int, default=1, help="how many at a time")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"), help="bad ones go here")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="longform-fuzz-") as folder:
        kitchen = Kitchen(Path(folder), find_ffmpeg(None))
        report = campaign.run(kitchen, given.count, given.seed, given.keep, given.jobs)
    for line in report.table():
        sys.stdout.write(line + "\n")
    return 1 if report.bad else 0


if __name__ == "__main__":
    sys.exit(main())
