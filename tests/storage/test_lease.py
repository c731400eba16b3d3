"""Leases: a run that lives is never removed, one that was killed always is."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from longform.process_identity import process_start, this_machine
from longform.storage.cleanup import (
    ABANDONED_AFTER_SEC,
    LEASE_FILE,
    find_leftovers,
    is_abandoned,
    remove_leftovers,
)
from longform.storage.folder import Folder, open_folder
from longform.storage.lease import HeldLease, Lease, read_lease
from longform.storage.temp_files import temp_name
from tests.conftest import REPO_ROOT

RUN = "run-0123456789abcdef"
PATH = f"{RUN}/{LEASE_FILE}"
HOLDER = f"""
import sys, time
from longform.storage.folder import open_folder
from longform.storage.lease import HeldLease
folder = open_folder(sys.argv[1])
lease = HeldLease.take(folder, "{RUN}/{LEASE_FILE}", renew_sec=30.0)
folder.write("{RUN}/000000.s16", b"audio")
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A work store in a folder."""
    return open_folder(str(tmp_path))


@contextmanager
def holder(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that holds a lease until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPO_ROOT,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()


def age(path: Path, seconds: float) -> None:
    """Make a file look as if it had been written some time ago."""
    os.utime(path, (time.time() - seconds,) * 2)


def leave(folder: Path, machine: str, age_sec: float, run: str = RUN) -> None:
    """Leave a run's folder behind, as a machine would that was switched off."""
    lease = Lease(machine=machine, pid=os.getpid(), process_start="1")
    open_folder(str(folder)).write(f"{run}/{LEASE_FILE}", lease.model_dump_json().encode())
    age(folder / run / LEASE_FILE, age_sec)


def test_a_process_that_lives_keeps_its_run_however_old(tmp_path: Path, folder: Folder) -> None:
    """On its own machine the process decides: a lease of last year is kept while it lives."""
    with holder(tmp_path):
        age(tmp_path / RUN / LEASE_FILE, 400 * 86_400)
        assert remove_leftovers(str(tmp_path)) == []
        assert (tmp_path / RUN / "000000.s16").exists()


def test_a_run_that_was_killed_while_it_wrote_its_lease_is_abandoned(tmp_path: Path) -> None:
    """The lease that lies beside its place says whose the folder was."""
    with holder(tmp_path) as process:
        lease = tmp_path / RUN / LEASE_FILE
        writer = f"{process.pid}-{process_start(process.pid)}"
        mine = temp_name(LEASE_FILE).split("-")
        name = "-".join((*mine[:3], writer, mine[-1]))
        partial = lease.rename(lease.with_name(name))
        assert remove_leftovers(str(tmp_path)) == []
        process.kill()
        process.wait()
        assert partial.exists()
        assert [each.run for each in remove_leftovers(str(tmp_path))] == [RUN]


def test_a_process_that_is_stopped_keeps_its_run(tmp_path: Path) -> None:
    """A suspended process renews nothing, and is no less alive."""
    with holder(tmp_path) as process:
        process.send_signal(signal.SIGSTOP)
        age(tmp_path / RUN / LEASE_FILE, 10 * ABANDONED_AFTER_SEC)
        assert find_leftovers(str(tmp_path)) == []


def test_a_process_that_was_killed_loses_its_run_at_once(tmp_path: Path) -> None:
    """Nobody waits for a dead process of this machine; how much it left is told."""
    with holder(tmp_path) as process:
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie is dead too
        [removed] = remove_leftovers(str(tmp_path))
    assert (removed.run, removed.num_files) == (RUN, 2)
    assert list(tmp_path.iterdir()) == []


def test_a_later_process_with_the_same_id_is_another(tmp_path: Path) -> None:
    """A process id that was given out again does not protect what its first owner left."""
    lease = Lease(machine=this_machine(), pid=1, process_start="before the boot")
    open_folder(str(tmp_path)).write(f"{RUN}/{LEASE_FILE}", lease.model_dump_json().encode())
    assert [found.run for found in find_leftovers(str(tmp_path))] == [RUN]


@pytest.mark.parametrize(
    ("age_sec", "abandoned"),
    [(0, False), (ABANDONED_AFTER_SEC - 60, False), (ABANDONED_AFTER_SEC + 60, True)],
)
def test_a_run_of_another_machine_counts_by_its_lease(
    tmp_path: Path, folder: Folder, age_sec: float, abandoned: bool
) -> None:
    """From afar a lease is given up when the store has not seen it renewed for long enough."""
    leave(tmp_path, "another machine", age_sec)
    assert is_abandoned(folder, RUN) is abandoned
    assert [path.name for path in tmp_path.iterdir()] == [RUN]  # the look leaves no trace


@pytest.mark.parametrize("skew_sec", [-86_400.0, 86_400.0])
def test_the_clock_of_this_machine_does_not_matter(
    tmp_path: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch, skew_sec: float
) -> None:
    """A machine that is a day ahead or behind judges as every other: by the store's times."""
    leave(tmp_path, "another machine", 0)
    leave(tmp_path, "another machine", ABANDONED_AFTER_SEC + 60, run="run-aaaaaaaaaaaaaaaa")
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + skew_sec)
    assert [found.run for found in find_leftovers(str(tmp_path))] == ["run-aaaaaaaaaaaaaaaa"]


def test_a_lease_that_is_renewed_is_never_given_up(
    tmp_path: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Renewals make a lease young again, for observers on other machines too."""
    lease = HeldLease.take(folder, PATH, renew_sec=0.01)
    assert lease is not None
    monkeypatch.setattr("longform.process_identity.this_machine", lambda: "another machine")
    try:
        for _ in range(3):
            age(tmp_path / RUN / LEASE_FILE, 2 * ABANDONED_AFTER_SEC)
            before = read_lease(folder, PATH)
            assert before is not None
            deadline = time.monotonic() + 60
            while (read_lease(folder, PATH) or before).renewals <= before.renewals + 1:
                assert time.monotonic() < deadline, "the lease is not renewed"
            assert not is_abandoned(folder, RUN)
    finally:
        lease.release()


def test_a_lease_that_is_released_is_nobodys(folder: Folder) -> None:
    """Within one process, too, what an ended run could not remove is a leftover."""
    lease = HeldLease.take(folder, PATH, renew_sec=30.0)
    assert lease is not None
    assert not is_abandoned(folder, RUN)
    lease.release()
    assert is_abandoned(folder, RUN)


@pytest.mark.parametrize("content", [None, b"", b'{"machine": 1}', b"\xff"])
def test_a_folder_without_a_usable_lease_counts_by_its_files(
    tmp_path: Path, folder: Folder, content: bytes | None
) -> None:
    """What was killed before or in the middle of its lease stays until nothing in it is young."""
    folder.write(f"{RUN}/a", b"audio")
    if content is not None:
        folder.write(PATH, content)
    everything = [*(tmp_path / RUN).iterdir(), tmp_path / RUN]
    for path in everything[1:]:
        age(path, 2 * ABANDONED_AFTER_SEC)
    assert not is_abandoned(folder, RUN)
    for path in everything:
        age(path, 2 * ABANDONED_AFTER_SEC)
    assert is_abandoned(folder, RUN)


def test_nothing_else_in_the_store_is_touched(tmp_path: Path) -> None:
    """Files and folders that no run has made stay, however old and whatever their names."""
    for name in ("notes.txt", "run-1", f"{RUN}x", "lease.json", "plans"):
        (tmp_path / name).mkdir()
        age(tmp_path / name, 10**8)
    assert remove_leftovers(str(tmp_path)) == []
    assert len(list(tmp_path.iterdir())) == 5


def test_a_root_that_is_not_there_has_no_leftovers(tmp_path: Path) -> None:
    """A work store that was never used is empty, and is not made by looking."""
    assert find_leftovers(str(tmp_path / "none")) == []
    assert not (tmp_path / "none").exists()


def test_a_process_has_a_start_while_it_lives() -> None:
    """The start of a process is the same at every look, and there is none after its end."""
    assert process_start(os.getpid()) == process_start(os.getpid()) is not None
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert process_start(child.pid) is None
