"""`longform clean` and `longform doctor`: what killed runs have left is told, and goes."""

import os
import time
from pathlib import Path

import pytest

from cli.doctor import look
from longform.process_identity import this_machine
from longform.settings import Settings
from longform.storage.cleanup import LEASE_FILE, find_old_records, remove_records
from longform.storage.folder import open_folder
from longform.storage.lease import HeldLease, Lease
from tests.cli.conftest import Run

DAY_SEC = 86_400
DEAD, ALIVE = "run-0123456789abcdef", "run-fedcba9876543210"


def leave(root: Path) -> None:
    """Leave 2 MB behind, as a process of this machine would that was killed."""
    folder = open_folder(str(root))
    lease = Lease(machine=this_machine(), pid=1, process_start="before the boot")
    folder.write(f"{DEAD}/{LEASE_FILE}", lease.model_dump_json().encode())
    folder.write(f"{DEAD}/000000.s16", bytes(2_000_000))


def record(store: Path, name: str, age_sec: float) -> Path:
    """Put a file of some age into a chunk store."""
    path = store / name[:2] / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    os.utime(path, (time.time() - age_sec,) * 2)
    return path


def test_what_was_left_goes_and_what_lives_stays(longform: Run, tmp_path: Path) -> None:
    """A dry run only tells; the command removes dead runs and old records, and nothing else."""
    work, chunks = tmp_path / "work", tmp_path / "chunks"
    places = {"LONGFORM_WORK_STORE": str(work), "LONGFORM_CHUNK_STORE": str(chunks)}
    leave(work)
    folder = open_folder(str(work))
    lease = HeldLease.take(folder, f"{ALIVE}/{LEASE_FILE}", renew_sec=30.0)
    assert lease is not None
    old, young = [
        record(chunks, f"{kind * 64}.json", age * DAY_SEC) for kind, age in (("a", 9), ("b", 1))
    ]
    try:
        dry = longform("clean", "--cache-older-than-days", "7", "--dry-run", **places)
        assert (dry.returncode, (work / DEAD).exists(), old.exists()) == (0, True, True)
        assert "2.0" in dry.stdout
        done = longform("clean", "--cache-older-than-days", "7", **places)
    finally:
        lease.release()
    assert done.returncode == 0, done.stderr
    assert [path.name for path in work.iterdir()] == [ALIVE]
    assert (old.exists(), young.exists()) == (False, True)


def test_doctor_tells_of_leftovers(tmp_path: Path) -> None:
    """What lies there and what removes it are both named."""
    settings = Settings(home=tmp_path, work_store=str(tmp_path / "work"))
    assert look("work store", settings, "base").ok == "ok"
    leave(tmp_path / "work")
    check = look("work store", settings, "base")
    assert check.ok == "warn"
    assert "2.0 MB of 1 runs" in check.found
    assert "longform clean" in check.remedy


@pytest.mark.parametrize(
    ("name", "age_days", "goes"),
    [
        (f"{'c' * 64}.json", 400, False),  # no age was given for records
        (f".longform-{'0' * 32}.tmp", 2, True),
        (f".longform-{'0' * 32}.tmp", 0, False),  # somebody may be writing it
        ("notes.json", 400, False),
    ],
)
def test_unfinished_writes_go(tmp_path: Path, name: str, age_days: int, goes: bool) -> None:
    """Without an age only what a killed write has left goes; foreign files always stay."""
    path = record(tmp_path, name, age_days * DAY_SEC)
    remove_records(str(tmp_path), find_old_records(str(tmp_path), None))
    assert path.exists() is not goes
    assert find_old_records(str(tmp_path / "none"), 0) == []
