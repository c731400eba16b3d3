"""Bad input: one clear line, the right exit code, never a traceback."""

import socket
import subprocess
from pathlib import Path

import pytest

from longform.media.decode.ffmpeg_args import find_ffmpeg
from tests.cli.conftest import Run
from tests.conftest import WELCOME
from tests.support.range_server import range_server

USAGE, SOURCE = 2, 3


def require_one_line(done: "subprocess.CompletedProcess[str]", code: int, *parts: str) -> None:
    """Check the exit code, that no traceback is shown, and what the one line says."""
    complaints = [line for line in done.stderr.splitlines() if line.startswith("longform: ")]
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert len(complaints) == 1, done.stderr
    assert all(part in complaints[0] for part in parts), complaints[0]


def test_no_such_file(longform: Run) -> None:
    """A path with nothing behind it is named."""
    require_one_line(longform("transcribe", "missing.mp3"), SOURCE, "missing.mp3")


def test_an_empty_file(longform: Run, tmp_path: Path) -> None:
    """A file without a byte is called empty."""
    (tmp_path / "empty.mp3").touch()
    require_one_line(longform("transcribe", "empty.mp3"), SOURCE, "empty.mp3", "empty")


def test_a_text_file(longform_with_server: Run, tmp_path: Path) -> None:
    """A text file is no recording."""
    (tmp_path / "notes.mp3").write_text("These are only words.\n" * 50)
    require_one_line(longform_with_server("transcribe", "notes.mp3"), SOURCE, "notes.mp3")


def test_a_video_without_audio(longform_with_server: Run, tmp_path: Path) -> None:
    """A silent film has nothing to transcribe."""
    source = ["-f", "lavfi", "-i", "testsrc=size=64x64:duration=1"]
    command = [find_ffmpeg(None), "-v", "error", *source, "-c:v", "mpeg4", tmp_path / "film.mp4"]
    subprocess.run(command, check=True)
    require_one_line(longform_with_server("transcribe", "film.mp4"), SOURCE, "film.mp4", "audio")


def test_a_404(longform_with_server: Run) -> None:
    """An address that the server does not know is not found."""
    with range_server() as server:
        done = longform_with_server("transcribe", server.url("/none.mp3"), "--allow-private-hosts")
    require_one_line(done, SOURCE, "none.mp3", "404")


def test_a_host_that_refuses(longform_with_server: Run) -> None:
    """A port on which nobody listens is a source that cannot be reached."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/talk.mp3"
        done = longform_with_server("transcribe", url, "--allow-private-hosts")
    require_one_line(done, SOURCE, "127.0.0.1")


def test_a_private_address(longform_with_server: Run) -> None:
    """Loopback is refused unless it is allowed, and the line says how."""
    done = longform_with_server("transcribe", "http://127.0.0.1:9/talk.mp3")
    require_one_line(done, SOURCE, "127.0.0.1", "allow")


@pytest.mark.model
def test_a_url_without_ranges_works_with_a_warning(
    longform_with_server: Run, tmp_path: Path
) -> None:
    """A server without byte ranges costs a download, which a warning says, and nothing else."""
    clip = tmp_path / "clip.flac"
    command = [find_ffmpeg(None), "-v", "error", "-i", WELCOME, "-t", "20", clip]
    subprocess.run(command, check=True)
    with range_server() as server:
        server.habits.ranges = False
        url = server.add(clip, "/welcome.flac")
        done = longform_with_server("transcribe", url, "--allow-private-hosts", "--print")
    assert done.returncode == 0, done.stderr
    assert "warning" in done.stderr
    assert "ranges" in done.stderr
    assert "Asterisk" in done.stdout


def test_an_unknown_model(longform: Run) -> None:
    """A misspelt model is named together with the models there are."""
    done = longform("transcribe", WELCOME, "--model", "bsae")
    require_one_line(done, USAGE, "bsae", "large-v3")


def test_an_output_folder_that_cannot_be_written(longform: Run, tmp_path: Path) -> None:
    """A folder that is a file is found out before any work is done."""
    (tmp_path / "taken").touch()
    done = longform("transcribe", WELCOME, "-o", tmp_path / "taken" / "out")
    require_one_line(done, USAGE, "taken")


@pytest.mark.parametrize(
    ("option", "value", "field", "bound"),
    [
        ("--macro-chunk-size-sec", "5", "macro_chunk_size_sec", "10"),
        ("--micro-chunk-size-sec", "31", "micro_chunk_size_sec", "30"),
        ("--beam-size", "0", "beam_size", "1"),
        ("--batch-size", "1000", "batch_size", "256"),
        ("--chunking", "words", "chunking", "vad"),
        ("--device", "tpu", "device", "cuda"),
        ("--workers", "0", "workers", "1"),
        ("--max_line_width", "3", "subtitles.max_line_width", "10"),
    ],
)
def test_parameters_out_of_bounds(
    longform: Run, option: str, value: str, field: str, bound: str
) -> None:
    """The message names the field, the value and the bounds."""
    done = longform("transcribe", WELCOME, option, value)
    require_one_line(done, USAGE, field, value, bound)


def test_an_unknown_format(longform: Run) -> None:
    """A format that nobody writes is named together with those there are."""
    done = longform("transcribe", WELCOME, "-f", "docx")
    require_one_line(done, USAGE, "docx", "srt")


def test_an_unknown_option_is_a_usage_error(longform: Run) -> None:
    """The command line itself is checked by the same exit code."""
    assert longform("transcribe", WELCOME, "--no-such-option").returncode == USAGE
