"""However a run ends, nothing of it stays: real processes, real signals, a real cluster."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from longform.media.decode.ffmpeg_args import find_ffmpeg
from tests.conftest import REPO_ROOT, WELCOME
from tests.flows.conftest import Stage
from tests.support.prefect_reads import ask_server
from tests.support.processes import lives
from tests.support.range_server import range_server

pytestmark = pytest.mark.server

PATIENCE_SEC = 300.0  # for what takes a second on a machine that is not busy
ENDINGS = {signal.SIGINT: 130, signal.SIGTERM: 143}


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait for something that must come."""
    deadline = time.monotonic() + PATIENCE_SEC
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.02)


@dataclass(frozen=True)
class Place:
    """A folder with everything that a command may leave something in."""

    folder: Path

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def spooled(self) -> list[Path]:
        """Return the audio in the work store."""
        return list(self.work.rglob("*.s16"))

    def leftovers(self) -> list[Path]:
        """Return what lies in the work store, and temporary files of ours elsewhere."""
        temporary = (self.folder / "tmp").glob("longform*")
        return [*self.work.glob("*"), *temporary, *self.folder.rglob("*.partial")]

    @contextmanager
    def command(
        self, *arguments: object, name: str = "transcribe"
    ) -> Iterator["subprocess.Popen[str]"]:
        """Run a command of longform as a process of its own."""
        (self.folder / "tmp").mkdir(exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", name, *map(str, arguments)],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(REPO_ROOT), "TMPDIR": str(self.folder / "tmp")},
            stderr=subprocess.PIPE,
            text=True,
            # A shell has what it starts with `&` ignore Ctrl-C, and that is inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def place(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A place whose commands use the scripted cluster; the engine waits until `go` exists."""
    from prefect.settings import get_current_settings

    monkeypatch.setenv("PREFECT_API_URL", str(get_current_settings().api.url))
    stage.direct(wait_for=str(tmp_path / "go"))
    yield Place(tmp_path)
    (tmp_path / "go").touch()


@pytest.fixture
def matroska(tmp_path: Path) -> Path:
    """Return a recording that must be read from its start: ten minutes, so that ffmpeg waits."""
    path = tmp_path / "long.mkv"
    repeat = ["-stream_loop", "4", "-i", WELCOME, "-c:a", "flac"]
    subprocess.run([find_ffmpeg(None), "-v", "error", *repeat, path], check=True)
    return path


OPTIONS = ("--macro-chunk-size-sec", "30", "-q", "-f", "txt")


@pytest.mark.parametrize("number", ENDINGS)
def test_a_signal_while_audio_is_in_transit(
    place: Place, matroska: Path, number: signal.Signals
) -> None:
    """Ctrl-C and SIGTERM leave no audio, no folder, no ffmpeg, and say that work is kept."""
    with place.command(matroska, *OPTIONS) as process:
        wait_until(lambda: len(place.spooled()) >= 3, "audio in the work store")
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        _, complaint = process.communicate(timeout=PATIENCE_SEC)
    assert process.returncode == ENDINGS[number], complaint
    assert place.leftovers() == []
    assert not any(lives(child) for child in children)
    assert "finished chunks are kept" in complaint
    assert "Traceback" not in complaint


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.full)]
)
def test_a_signal_during_a_download(place: Place, number: signal.Signals) -> None:
    """A source without ranges that is half on disk leaves nothing there."""
    with range_server() as server:
        server.habits.ranges = False
        server.habits.stall_after = 300_000
        url = server.add(WELCOME, "/welcome.flac")
        with place.command(url, *OPTIONS) as process:
            wait_until(lambda: list(place.work.rglob("source-*")), "a download")
            process.send_signal(number)
            _, complaint = process.communicate(timeout=PATIENCE_SEC)
    assert process.returncode == ENDINGS[number], complaint
    assert place.leftovers() == []


@pytest.mark.full
@pytest.mark.parametrize("number", ENDINGS)
def test_a_signal_with_a_cluster_of_its_own(
    place: Place, matroska: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker processes that a command has started end with it as well."""
    monkeypatch.setenv("LONGFORM_CLUSTER", "local")
    with place.command(matroska, *OPTIONS) as process:
        wait_until(lambda: len(place.spooled()) >= 3, "audio in the work store")
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        # The engine is in the middle of a call that nobody can interrupt.
        (place.folder / "go").touch()
        _, complaint = process.communicate(timeout=PATIENCE_SEC)
    assert process.returncode == ENDINGS[number], complaint
    assert place.leftovers() == []
    wait_until(lambda: not any(lives(child) for child in children), "the end of its processes")


def ask(path: str, **wanted: Any) -> list[dict[str, Any]]:
    """Ask the server for runs."""
    url = os.environ["PREFECT_API_URL"]
    answer: list[dict[str, Any]] = ask_server(url, "POST", f"{path}/filter", wanted)
    return answer


def open_runs(run_id: str) -> list[str]:
    """Return the names of what a run has started and what is still open."""
    subflows = ask("flow_runs", flow_runs={"parent_flow_run_id": {"any_": [run_id]}})
    ids = [run_id, *(run["id"] for run in subflows)]
    tasks = ask("task_runs", flow_runs={"id": {"any_": ids}})
    still_open = ("PENDING", "RUNNING", "CANCELLING")
    return [run["name"] for run in (*subflows, *tasks) if run["state_type"] in still_open]


def state_of(run_id: str) -> str:
    """Return the type of a run's state."""
    (run,) = ask("flow_runs", flow_runs={"id": {"any_": [run_id]}})
    return str(run["state_type"])


@pytest.mark.parametrize(
    ("cluster", "min_spooled"),
    [("external", 3), ("external", 0), pytest.param("local", 3, marks=pytest.mark.full)],
)
def test_a_run_that_is_cancelled_in_the_ui(
    place: Place,
    stage: Stage,
    matroska: Path,
    cluster: str,
    min_spooled: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Everything ends, on the workers too, and the run and what it started are closed.

    While chunks are still cut, and when there is only one, which is on its way.
    """
    if cluster == "local":
        monkeypatch.setenv("LONGFORM_CLUSTER", "local")
    with place.command(*((matroska, *OPTIONS) if min_spooled else (WELCOME, "-q"))) as process:
        wait_until(lambda: stage.engine_calls, "a call of the engine")
        wait_until(lambda: len(place.spooled()) >= min_spooled, "audio in the work store")
        children = psutil.Process(process.pid).children(recursive=True)
        (run,) = ask(
            "flow_runs",
            flow_runs={"state": {"type": {"any_": ["RUNNING"]}}},
            flows={"name": {"any_": ["transcribe"]}},
        )
        ask_server(
            os.environ["PREFECT_API_URL"],
            "POST",
            f"flow_runs/{run['id']}/set_state",
            {"state": {"type": "CANCELLING"}, "force": True},
        )
        # The engine is in the middle of a call that nobody can interrupt.
        wait_until(lambda: not list((place.folder / "chunks").rglob("*.claim")), "no claim")
        (place.folder / "go").touch()
        _, complaint = process.communicate(timeout=PATIENCE_SEC)
    assert process.returncode == ENDINGS[signal.SIGTERM], complaint
    assert "finished chunks are kept" in complaint
    # What watches over the processes of a local cluster ends just after them.
    wait_until(lambda: not any(lives(child) for child in children), "the end of every process")
    assert place.leftovers() == []
    wait_until(lambda: open_runs(run["id"]) == [], "the end of every run")
    assert state_of(run["id"]) == "CANCELLED"


@pytest.mark.full
@pytest.mark.parametrize("number", ENDINGS)
@pytest.mark.parametrize("moment", ["command", "folder", "engine"])
def test_a_signal_at_any_other_moment(
    place: Place, stage: Stage, matroska: Path, number: signal.Signals, moment: str
) -> None:
    """While it starts, when its folder has just been made, and while the engine is at work."""
    moments = {
        "command": lambda process: psutil.Process(process.pid).cpu_times().user > 1.0,
        "folder": lambda process: list(place.work.glob("run-*")),
        "engine": lambda process: stage.engine_calls,
    }
    with place.command(matroska, *OPTIONS) as process:
        wait_until(lambda: moments[moment](process), moment)
        process.send_signal(number)
        process.communicate(timeout=PATIENCE_SEC)
    assert process.returncode in (ENDINGS[number], -number)  # Python was not ready to unwind
    assert place.leftovers() == []


def test_what_a_killed_run_leaves_the_next_one_removes(place: Place, matroska: Path) -> None:
    """SIGKILL leaves audio behind; another run, of another recording, takes it away."""
    with place.command(matroska, *OPTIONS) as process:
        wait_until(lambda: len(place.spooled()) >= 3, "audio in the work store")
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        assert place.spooled()
        wait_until(lambda: not any(lives(child) for child in children), "ffmpeg's end")
    (place.folder / "go").touch()
    with place.command(WELCOME, *OPTIONS) as process:
        _, complaint = process.communicate(timeout=PATIENCE_SEC)
    assert process.returncode == 0, complaint
    assert place.leftovers() == []


@pytest.mark.full
def test_two_runs_at_a_time_leave_each_other_alone(place: Place, matroska: Path) -> None:
    """A run that starts, works and ends beside another takes nothing from it."""
    (place.folder / "notes.mkv").write_text("only words\n" * 50)
    with place.command(matroska, *OPTIONS) as first:
        wait_until(lambda: len(place.spooled()) >= 3, "audio in the work store")
        before = place.spooled()
        with place.command("notes.mkv", *OPTIONS) as second:
            second.communicate(timeout=PATIENCE_SEC)
        assert second.returncode == 3
        assert set(before) <= set(place.spooled())
        (place.folder / "go").touch()
        _, complaint = first.communicate(timeout=PATIENCE_SEC)
    assert first.returncode == 0, complaint
    assert place.leftovers() == []
