"""`make faults`: run the whole set and print what became of every fault in every container."""

import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.faults.conftest import NAMES

Cell = list[tuple[str, int]]  # what came of each place, and how many requests were hit


class Collector:
    """A pytest plugin that keeps what the tests have recorded."""

    def __init__(self) -> None:
        self.cells: dict[tuple[str, str], Cell] = defaultdict(list)
        self.num_unexpected = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take one report."""
        found = dict(report.user_properties)
        if report.when == "call" and "outcome" in found:
            cell = self.cells[str(found["fault"]), str(found["container"])]
            cell.append((str(found["outcome"]), int(str(found["requests"]))))
            self.num_unexpected += not found.get("expected")


def show(cells: dict[tuple[str, str], Cell]) -> list[str]:
    """Return the table: per fault what came of it, then the requests hit in each container."""
    faults = list(dict.fromkeys(fault for fault, _ in cells))
    suffixes = [name.partition(".")[2] if name.count(".") else name for name in NAMES]
    lines = ["requests hit per container: the mean of head, middle and tail of the file", ""]
    lines.append(f"{'fault':38} {'outcome':22}" + "".join(f"{one:>6}" for one in suffixes))
    for fault in faults:
        outcomes = sorted({said for name in NAMES for said, _ in cells.get((fault, name), [])})
        row = f"{fault:38} {', '.join(outcomes):22}"
        for name in NAMES:
            cell = cells.get((fault, name), [])
            mean = sum(hits for _, hits in cell) / len(cell) if cell else 0
            row += f"{mean:6.1f}" if cell else "     -"
        lines.append(row)
    return lines


def totals(cells: dict[tuple[str, str], Cell], num_unexpected: int) -> str:
    """Return the closing line."""
    said = [outcome for cell in cells.values() for outcome, _ in cell]
    healed, silent = said.count("healed"), said.count("SILENT LOSS")
    errors = len(said) - healed - silent
    unexpected = f" ({num_unexpected} cases not as expected)" if num_unexpected else ""
    return (
        f"cases {len(said)}, healed {healed}, expected errors {errors}, "
        f"silent losses {silent}{unexpected}"
    )


def main(arguments: list[str]) -> int:
    """Run the suite; return the exit code of pytest."""
    collector = Collector()
    folder = Path(__file__).parent
    code = pytest.main([str(folder), "-q", "--no-header", *arguments], plugins=[collector])
    sys.stdout.write("\n".join(["", *show(collector.cells), "", ""]))
    sys.stdout.write(totals(collector.cells, collector.num_unexpected) + "\n")
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
