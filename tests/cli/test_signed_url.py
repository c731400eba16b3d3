"""A signed URL leaves no trace: not in Prefect, not in a file, not in a log, not in a command."""

import json
import os
import sqlite3
import stat
from pathlib import Path

import pytest

from infra.prefect_api import ServerAddress
from longform.media.decode.ffmpeg_args import find_ffmpeg
from tests.cli.conftest import Run
from tests.conftest import WELCOME
from tests.support.range_server import RangeServer, range_server
from tests.support.scripted_engine import SCRIPT_VARIABLE

pytestmark = pytest.mark.server

SECRETS = ("USERSECRET", "WORDSECRET", "SIGSECRET", "FRAGSECRET")


def sign(url: str) -> str:
    """Return a URL with a secret in every place where a URL may have one."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{SECRETS[0]}:{SECRETS[1]}@{rest}?X-Sig={SECRETS[2]}&n=1#{SECRETS[3]}"


def found_in(text: str) -> set[str]:
    """Return the secrets that a text holds."""
    return {secret for secret in SECRETS if secret in text}


def found_in_files(folder: Path) -> dict[str, set[str]]:
    """Return the secrets in all files of a folder, by path."""
    texts = {
        str(path): path.read_bytes().decode("latin-1")
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert texts
    return {path: found_in(path + text) for path, text in texts.items() if found_in(path + text)}


def everything_in(server: ServerAddress) -> str:
    """Return all that a Prefect server has stored: runs, parameters, logs, artifacts, events."""
    assert server.prefect_home is not None
    (database,) = server.prefect_home.glob("*.db")
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return "\n".join(connection.iterdump())


@pytest.fixture
def spying_ffmpeg(tmp_path: Path) -> Path:
    """An ffmpeg that notes its arguments and environment before it does its work."""
    path = tmp_path / "bin" / "ffmpeg"
    path.parent.mkdir()
    notes = tmp_path / "ffmpeg-calls.txt"
    path.write_text(
        f'#!/bin/sh\necho "$0 $@" >> {notes}\nenv >> {notes}\nexec {find_ffmpeg(None)} "$@"\n'
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def environment(tmp_path: Path, ffmpeg: Path, **script: object) -> dict[str, str]:
    """Return what makes the command talk a lot, with an engine that follows a script."""
    orders = tmp_path / "script.json"
    (tmp_path / "attempts").mkdir(exist_ok=True)
    orders.write_text(json.dumps({"attempts_dir": str(tmp_path / "attempts")} | script))
    return {
        SCRIPT_VARIABLE: str(orders),
        "LONGFORM_ENGINE": "tests.support.scripted_engine:create",
        "LONGFORM_FFMPEG": str(ffmpeg),
        "LONGFORM_ALLOW_PRIVATE_HOSTS": "true",
        "PREFECT_LOGGING_LEVEL": "DEBUG",
        "PREFECT_LOGGING_ROOT_LEVEL": "DEBUG",
        "PATH": os.environ["PATH"],
    }


OPTIONS = ("-v", "--macro-chunk-size-sec", "30", "-o", "out", "--json")


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("chunk", 4),
        ("expired", 3),
        pytest.param("none", 0, marks=pytest.mark.full),
        pytest.param("refused", 3, marks=pytest.mark.full),
    ],
)
def test_nothing_that_is_kept_or_shown_holds_the_signature(
    longform_with_server: Run,
    prefect_server: ServerAddress,
    tmp_path: Path,
    spying_ffmpeg: Path,
    fault: str,
    code: int,
) -> None:
    """Good or bad, a run of a signed URL stores and prints its redacted form alone."""
    script = {"fail_first": {"0": 99}, "error": "InvariantError"} if fault == "chunk" else {}
    with range_server() as server:
        url = sign(server.add(WELCOME, f"/{fault}.flac"))
        expire_as(fault, server)
        done = longform_with_server(
            "transcribe", url, *OPTIONS, **environment(tmp_path, spying_ffmpeg, **script)
        )
        asked = [path for path, _ in server.requests]
    assert done.returncode == code, done.stderr[-3_000:]
    assert any(SECRETS[2] in path for path in asked)
    stored = everything_in(prefect_server)
    assert f"/{fault}.flac#sealed-" in stored
    assert found_in(stored) == set()
    assert f"{fault}.flac" in done.stderr
    assert len(done.stderr) > 2_000
    assert found_in(done.stdout + done.stderr) == set()
    assert found_in_files(tmp_path) == {}
    if fault in ("none", "chunk"):
        calls = (tmp_path / "ffmpeg-calls.txt").read_text()
        assert "http://127.0.0.1" in calls
        assert list((tmp_path / "longform-home" / "chunks").rglob("*.json"))
        assert sorted(path.name for path in (tmp_path / "out").iterdir())


def expire_as(fault: str, server: RangeServer) -> None:
    """Let the link be refused from the start, or after some requests."""
    if fault == "refused":
        server.habits.status = 403
    if fault == "expired":
        server.habits.good_requests = 15  # the look and the samples, and then some of the blocks


def test_a_parameter_that_was_stored_cannot_be_opened(longform: Run) -> None:
    """What the UI shows of a run's parameters, given to the command, says what to do."""
    done = longform("plan", f"https://example.org/talk.flac#sealed-{'0' * 16}")
    assert done.returncode == 3
    assert "start again with the full link" in done.stderr
