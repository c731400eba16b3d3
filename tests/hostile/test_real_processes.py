"""A sample of the hostile inputs through the command as users run it, and through real flows."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.prefect_api import ServerAddress
from tests.conftest import REPO_ROOT
from tests.hostile.conftest import Surroundings

SOURCE = 3

# None of them needs a name: another process has the resolver of the system.
AT_ONCE = (
    "http://127.1:{p}/a\n.mp3",
    "gopher://127.0.0.1:{p}/a",
    "$(cat {f})",
    "`cat {f}`;cat {f}|cat",
    "../" * 30 + "dev/zero",
    os.fsdecode(b"\xff\xfe.wav"),
)
IN_THE_FLOW = (
    "http://127.1:{p}/a.mp3",
    "http://0x7f000001:{p}/a.mp3",
    "http://[::ffff:127.0.0.1]:{p}/a.mp3",
    "http://a@127.0.0.1:{p}/a.mp3",
    "http://[::1]:{p}/\x1b[31m.mp3",
    "playlist.mp4",
)


def command(
    folder: Path, *arguments: str, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run `longform` in a folder, with nothing of this process's settings."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    kept |= {"HOME": str(folder), "PYTHONPATH": str(REPO_ROOT), "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=folder,
        env=kept | {"LONGFORM_HOME": str(folder / "home")} | environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


@pytest.mark.parametrize("url", AT_ONCE, ids=ascii)
def test_the_command(around: Surroundings, tmp_path: Path, url: str) -> None:
    """Without a server or a cluster: the code for sources, and one line."""
    name = "plan" if url.startswith("http") else "transcribe"  # which leaves it to the flow
    done = command(tmp_path, name, "--", around.fill(url))
    assert (done.returncode, done.stdout) == (SOURCE, ""), done.stderr
    assert done.stderr.startswith("longform: ")
    assert done.stderr.removesuffix("\n").isprintable()


@pytest.mark.server
def test_the_flow(around: Surroundings, tmp_path: Path, prefect_server: ServerAddress) -> None:
    """A real run each, on a real cluster: each fails with its own line, and reaches nothing."""
    playlist = "#EXTM3U\n#EXTINF:9,\n{f}\n#EXTINF:9,\nhttp://127.0.0.1:{p}/a.ts\n#EXT-X-ENDLIST\n"
    (tmp_path / "playlist.mp4").write_text(around.fill(playlist))
    scripted = {"LONGFORM_ENGINE": "tests.support.scripted_engine:create"}
    done = command(
        tmp_path,
        "transcribe",
        "--quiet",
        *map(around.fill, IN_THE_FLOW),
        **scripted,
        **prefect_server.environment(),
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("longform: ")]
    assert (done.returncode, done.stdout) == (SOURCE, ""), done.stderr
    assert len(lines) == len(IN_THE_FLOW), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.replace("\n", "").isprintable()
