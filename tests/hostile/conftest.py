"""Traps around every hostile input, a small internet, and the count of what was reached."""

import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from cli.main import main
from tests.support.range_server import Habits, RangeServer, range_server
from tests.support.small_internet import PUBLIC_ADDRESS, PUBLIC_NAME, SmallInternet
from tests.support.tripwires import FileTrap, ListeningTrap, traps
from tests.support.wav_file import wav

LOUD = 32_000  # the secret is a square wave of this height; everything else is quiet
SECRET = wav(np.tile(np.repeat(np.array([LOUD, -LOUD], "<i2"), 40), 400))

NAMES = {
    PUBLIC_NAME: [(PUBLIC_ADDRESS,)],
    "loopback.example": [("127.0.0.1",)],
    "127.0.0.1.nip.example": [("127.0.0.1",)],
    "private.example": [("10.0.0.1",)],
    "mixed.example": [(PUBLIC_ADDRESS, "127.0.0.1")],
    "six.example": [("::1",)],
    "mapped.example": [("::ffff:127.0.0.1",)],
    "metadata.example": [("169.254.169.254",)],
    "metadata.google.internal": [("169.254.169.254",)],
    "localhost.localdomain": [("127.0.0.1",)],
    "ip6-localhost": [("::1",)],
    "rebinding.example": [(PUBLIC_ADDRESS,), ("127.0.0.1",)],
}


@dataclass
class Tally:
    """What all hostile inputs of this session have reached."""

    inputs: int = 0
    connections: int = 0
    readings: int = 0


_TALLY = pytest.StashKey[Tally]()


@dataclass(frozen=True)
class Surroundings:
    """What lies around a hostile input: the traps, and a server that may be used."""

    listening: ListeningTrap
    files: FileTrap
    secret: Path
    public: RangeServer
    internet: SmallInternet

    def fill(self, text: str) -> str:
        """Put the places of the traps into a hostile address or file."""
        return (
            text.replace("{p}", str(self.listening.port))
            .replace("{u}", str(self.listening.unix_path))
            .replace("{f}", str(self.secret))
        )


@pytest.fixture(scope="session")
def tally(request: pytest.FixtureRequest) -> Tally:
    """The one count of the session."""
    return request.config.stash.setdefault(_TALLY, Tally())


@pytest.fixture(scope="session")
def session_traps(
    tmp_path_factory: pytest.TempPathFactory, tally: Tally
) -> Iterator[tuple[ListeningTrap, FileTrap, Path]]:
    """Set the traps once; what falls into them after the last test is counted too."""
    folder = tmp_path_factory.mktemp("traps")
    secret = folder / "secret.wav"
    secret.write_bytes(SECRET)
    with traps(folder, secret) as (listening, files):
        yield listening, files, secret
        tally.connections += listening.callers()
        tally.readings += files.openings()


@pytest.fixture(scope="session")
def public_server() -> Iterator[RangeServer]:
    """The one server of the small internet."""
    with range_server() as server:
        yield server


@pytest.fixture
def around(
    session_traps: tuple[ListeningTrap, FileTrap, Path],
    public_server: RangeServer,
    tally: Tally,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[Surroundings]:
    """Surround one hostile input; afterwards nothing may have been reached but the server."""
    listening, files, secret = session_traps
    monkeypatch.setattr(random, "uniform", lambda *_: 0.0)  # no pauses between tries
    monkeypatch.chdir(tmp_path)
    public_server.habits = Habits()
    public_server.requests.clear()
    internet = SmallInternet(NAMES, public_server.port)
    internet.install(monkeypatch)
    tally.inputs += 1
    yield Surroundings(listening, files, secret, public_server, internet)
    connections = listening.callers() + len(internet.outsiders)
    readings = files.openings()
    tally.connections += connections
    tally.readings += readings
    assert (connections, readings) == (0, 0)


Command = Callable[..., tuple[object, str, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Return what runs the `longform` command in this process: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["longform", *arguments])
        monkeypatch.setenv("COLUMNS", "400")  # no wrapped lines
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    return run


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the count."""
    tally = config.stash.get(_TALLY, None)
    if tally is not None:
        terminalreporter.write_line(
            f"hostile inputs {tally.inputs}, connections outside the policy "
            f"{tally.connections}, files read beyond the source {tally.readings}"
        )
