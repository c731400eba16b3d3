"""`longform reprocess`: usage, and one run for real with an engine that is scripted."""

import json
import subprocess
from pathlib import Path

import pytest

from longform.media.decode.ffmpeg_args import find_ffmpeg
from tests.cli.conftest import Run
from tests.conftest import WELCOME
from tests.support.range_server import range_server

SECRET = "f00dfacecafe"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((), "no recording is named"),
        (("talk.mp3", "--select", "some"), "--select"),
        (("talk.mp3", "--set", "beem_size=1"), "--set beem_size=1"),
        (("talk.mp3", "--set", "beam_size=99"), "beam_size"),
        (("--manifest", "list.doc"), "a manifest ends in"),
        (("talk.mp3", "-f", "docx"), "--output-format"),
    ],
)
def test_usage(longform: Run, arguments: tuple[str, ...], part: str) -> None:
    """What is wrong with the options is one line, before a server is started."""
    done = longform("reprocess", *arguments)
    assert done.returncode == 2, done.stderr
    assert part in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.server
def test_some_files_failed(longform_with_server: Run, tmp_path: Path) -> None:
    """Exit code 4 with a table and a report; a dry run tells of the rest; no signature is kept."""
    cut = ["-t", "12", "-i", WELCOME, tmp_path / "talk.flac"]
    subprocess.run([find_ffmpeg(None), "-v", "error", *cut], check=True)
    engine = {"LONGFORM_ENGINE": "tests.support.scripted_engine:create"}
    with range_server() as server:
        url = server.add(tmp_path / "talk.flac", "/talk.flac")
        (tmp_path / "list.txt").write_text(f"{url}?X-Amz-Signature={SECRET}\nmissing.mp3\n")
        options = ("--manifest", "list.txt", "-o", "out", "-f", "txt", "--allow-private-hosts")
        done = longform_with_server("reprocess", *options, **engine)
        again = longform_with_server("reprocess", *options, "--dry-run", "--json", **engine)
    assert done.returncode == 4, done.stderr[-3_000:]
    assert "1 of 2 files failed" in done.stdout
    assert "missing.mp3" in done.stdout
    [report] = (tmp_path / "out").glob("reprocess-*.json")
    files = json.loads(report.read_text())["files"]
    assert [each["outcome"] for each in files] == ["transcribed", "failed"]
    assert (tmp_path / "out" / "talk.txt").read_text()
    assert again.returncode == 0, again.stderr[-3_000:]
    planned = json.loads(again.stdout)
    assert [each["outcome"] for each in planned["files"]] == ["skipped", "would_transcribe"]
    stored = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*.*"))
    assert SECRET.encode() not in stored
    assert SECRET not in done.stdout + done.stderr + again.stdout + again.stderr
