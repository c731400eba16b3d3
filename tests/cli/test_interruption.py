"""Ctrl-C: what is said of a run that was stopped, and that a terminal is left as it was."""

import os
import pty
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

import psutil
import pyte
import pytest

from cli.display import QuietDisplay
from cli.interruption import Interruption, going_on
from infra.prefect_api import ServerAddress
from longform.runs.history import read_records
from longform.runs.progress_events import RunProgress
from tests.cli.conftest import clean_environment
from tests.conftest import REPO_ROOT, WELCOME
from tests.support.processes import lives
from tests.support.scripted_engine import SCRIPT_VARIABLE

PATIENCE_SEC = 150.0  # for what takes seconds on a machine that is not busy


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["transcribe", "a b.mp3", "-o", "out"], "longform transcribe 'a b.mp3' -o out"),
        (["transcribe", "--no-cache", "a.mp3"], "longform transcribe a.mp3"),
        (["transcribe", "s3://bucket/a.mp3"], "longform transcribe s3://bucket/a.mp3"),
    ],
)
def test_the_command_to_go_on_can_be_pasted(arguments: list[str], command: str) -> None:
    """It is the command that was given, quoted, but for what would do all of it again."""
    assert going_on(arguments).splitlines()[-1].strip() == command


@pytest.mark.parametrize(
    "secret",
    ["https://h/a.mp3?sig=HUSH", "https://me:HUSH@h/a.mp3", "--engine-url=http://u:HUSH@h"],
)
def test_a_secret_is_not_repeated(secret: str) -> None:
    """Of a command with a signature or a password it is only said that it is the same."""
    assert going_on(["transcribe", secret]) == "the same command goes on from there"


def test_what_is_kept_is_counted() -> None:
    """The chunks that are done, of how many, of which recording; nothing where none is known."""
    interruption = Interruption(QuietDisplay())
    assert "chunks are kept; go on" in interruption.kept(["transcribe", "a.mp3"])
    interruption.note(RunProgress("a.mp3", "transcribing", done_chunks=3, total_chunks=12))
    assert "chunks are kept (3 of 12 of a.mp3); go on" in interruption.kept([])


def heed_interrupts() -> None:
    """A shell has what it starts with `&` ignore Ctrl-C, and that is inherited."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


STUBBORN = """
import asyncio
from cli.display import QuietDisplay
from cli.interruption import Interruption

async def main(interruption):
    interruption.cancels_this_task()
    print("ready", flush=True)
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            print("stopping", flush=True)

with Interruption(QuietDisplay()) as interruption:
    asyncio.run(main(interruption))
"""


def test_a_second_ctrl_c_ends_at_once() -> None:
    """The first cancels what runs; where that takes its time, the second does not wait for it."""
    command = [sys.executable, "-c", STUBBORN]
    with subprocess.Popen(
        command, cwd=REPO_ROOT, stdout=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
    ) as process:
        assert process.stdout is not None
        for said in ("ready", "stopping"):
            assert process.stdout.readline().strip() == said
            process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SEC) == 130


def require_gone(processes: list[psutil.Process]) -> None:
    """Wait until processes have ended; those that watch over the command do so just after it."""

    deadline = time.monotonic() + PATIENCE_SEC
    while left := [process for process in processes if lives(process)]:
        assert time.monotonic() < deadline, [process.cmdline() for process in left]
        time.sleep(0.1)


@dataclass
class Terminal:
    """A terminal with the command in it, which sees what a person would see."""

    pid: int
    fd: int
    screen: pyte.Screen = field(default_factory=lambda: pyte.Screen(80, 24))

    def __post_init__(self) -> None:
        self._stream = pyte.ByteStream(self.screen)
        self.resize(80)

    def narrow(self, columns: int) -> None:
        """Make it narrower between two frames, for half a frame would be left on it for good."""
        os.kill(self.pid, signal.SIGSTOP)
        while select.select([self.fd], [], [], 0.1)[0] and self._read():
            pass
        self.resize(columns)
        os.kill(self.pid, signal.SIGCONT)

    def resize(self, columns: int) -> None:
        """Give it so many columns."""
        ioctl(self.fd, TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.screen.resize(24, columns)

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display if line.strip()]

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Read what comes until something can be seen."""
        deadline = time.monotonic() + PATIENCE_SEC
        while not condition():
            assert time.monotonic() < deadline, "\n".join(self.lines)
            assert self._read(), "\n".join(self.lines)

    def ends_with(self) -> int:
        """Read the rest; return the exit code."""
        deadline = time.monotonic() + PATIENCE_SEC
        while self._read():
            assert time.monotonic() < deadline, "\n".join(self.lines)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self) -> bool:
        if not select.select([self.fd], [], [], 1.0)[0]:
            return True
        try:
            block = os.read(self.fd, 65_536)
        except OSError:  # how Linux says that nobody has the other end any more
            return False
        self._stream.feed(block)
        return bool(block)


@contextmanager
def terminal(folder: Path, environment: dict[str, str], *arguments: str) -> Iterator[Terminal]:
    """Run the command in a terminal of 80 columns."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(folder)
        heed_interrupts()
        os.execvpe(sys.executable, [sys.executable, "-m", "cli", *arguments], environment)
    try:
        yield Terminal(pid, fd)
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.close(fd)


@pytest.mark.server
def test_ctrl_c_in_a_terminal(prefect_server: ServerAddress, tmp_path: Path) -> None:
    """Every process of the command gets it, and yet it ends cleanly and says how to go on."""
    script = tmp_path / "script.json"
    script.write_text(f'{{"wait_for": "{tmp_path}/go", "attempts_dir": "{tmp_path}"}}')
    environment = clean_environment(tmp_path) | prefect_server.environment()
    environment |= {
        "TERM": "xterm-256color",
        SCRIPT_VARIABLE: str(script),
        "LONGFORM_ENGINE": "tests.support.scripted_engine:create",
    }
    options = ("--macro-chunk-size-sec", "30", "-f", "txt")
    with terminal(tmp_path, environment, "transcribe", str(WELCOME), *options) as there:
        there.wait_for(lambda: any("worker 1" in line for line in there.lines))
        there.narrow(60)
        there.wait_for(lambda: any(len(line) > 50 for line in there.lines[-2:]))
        children = psutil.Process(there.pid).children(recursive=True)
        os.write(there.fd, b"\x03")
        there.wait_for(lambda: any("stopping" in line for line in there.lines))
        (tmp_path / "go").touch()
        assert there.ends_with() == 130
    seen = "\n".join(there.lines)
    assert "Traceback" not in seen
    assert "transcribing" not in seen
    assert "longform: stopped; finished chunks are kept" in seen.replace("\n", "")
    assert "longform transcribe" in seen
    assert not there.screen.cursor.hidden
    require_gone(children)
    (record,) = read_records(tmp_path / "longform-home")
    assert record.state == "stopped"
