"""Hostile names: of recordings, as arguments, of output folders and files."""

import asyncio
import json
import os
import socket
from pathlib import Path

import pytest

from longform.errors import OutputError
from longform.media.model import Source
from longform.media.sources.open import open_reader, open_source
from longform.net.policy import SourcePolicy, shown_name
from longform.transcript.write import check_writable, write_outputs
from tests.hostile.conftest import Command, Surroundings
from tests.hostile.names import BAD_OUTPUTS, BAD_PATHS, FILE_NAMES, ON_SCREEN, OPTIONS
from tests.support.transcripts import output_of
from tests.support.wav_file import tone, wav

USAGE, SOURCE = 2, 3
FORMATS = ("json", "srt", "vtt", "txt", "tsv")


def one_line(err: str, code: object) -> None:
    """Check that a complaint is one printable line (usage errors of the parser are a few)."""
    assert "Traceback" not in err
    assert all(line.isprintable() for line in err.splitlines())
    if code == SOURCE:
        assert err.startswith("longform: ")
        assert err.count("\n") == 1


@pytest.mark.parametrize("name", FILE_NAMES, ids=ascii)
def test_a_recording_of_any_name_is_only_a_recording(
    around: Surroundings, command: Command, tmp_path: Path, name: str
) -> None:
    """It is planned like any other; nothing is run, made or read besides."""
    (tmp_path / name).write_bytes(wav(tone(8_000)))
    code, out, err = command("plan", "--json", "--", str(tmp_path / name))
    assert (code, err) == (0, "")
    assert json.loads(out)["plan"]["chunks"][0]["end_sample"] == 8_000
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ON_SCREEN, ids=ascii)
def test_a_name_is_shown_and_does_nothing_else_on_a_screen(
    around: Surroundings, command: Command, tmp_path: Path, name: str
) -> None:
    """Neither escape sequences nor markup in a name act; `./` keeps a tilde what it is."""
    (tmp_path / name).write_bytes(wav(tone(8_000)))
    code, out, err = command("plan", "--", f"./{name}")
    assert (code, err) == (0, "")
    assert all(line.isprintable() for line in out.splitlines())
    assert "".join(map(shown, name.split())) in "".join(out.split())


def shown(text: str) -> str:
    """Return text as a message may show it."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


@pytest.mark.parametrize("name", FILE_NAMES, ids=ascii)
def test_its_transcript_stays_in_its_folder(
    around: Surroundings, tmp_path: Path, name: str
) -> None:
    """Files are named after the recording, lie in the output folder, and nowhere else."""
    folder = tmp_path / "out"
    (tmp_path / name).write_bytes(wav(tone(8_000)))
    source = asyncio.run(open_source(str(tmp_path / name), SourcePolicy(), tmp_path))
    assert Source.model_validate_json(source.model_dump_json()) == source
    assert asyncio.run(open_reader(source, SourcePolicy()).read(0, 4)) == b"RIFF"
    written = write_outputs(output_of([], name=source.name), FORMATS, str(folder))
    assert sorted(written.files) == sorted(map(str, folder.iterdir()))
    assert len(written.files) == len(FORMATS)
    assert {path.name for path in tmp_path.iterdir()} == {name, "out"}
    assert shown_name(str(tmp_path / name)).isprintable()


@pytest.mark.parametrize(("path", "code"), BAD_PATHS, ids=lambda value: ascii(value)[:40])
def test_paths_at_which_nothing_may_be_read(
    around: Surroundings, command: Command, tmp_path: Path, path: str, code: int
) -> None:
    """Folders, devices, pipes, loops and impossible names end in one line."""
    (tmp_path / "file.wav").write_bytes(wav(tone(8_000)))
    os.mkfifo(tmp_path / "fifo.wav")
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    (tmp_path / "dangling.wav").symlink_to("nothing.wav")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("socket.wav")
        ended, out, err = command("plan", "--", path)
    assert (ended, out) == (code, "")
    one_line(err, ended)


@pytest.mark.parametrize("option", OPTIONS)
def test_options_in_the_place_of_a_recording(
    around: Surroundings, command: Command, option: str
) -> None:
    """What looks like an option and is none is a usage error, or a file that is not there."""
    for name in ("plan", "transcribe"):
        code, out, err = command(name, option)
        assert (code, out) == (SOURCE if option == "-" else USAGE, "")
        one_line(err, code)


@pytest.mark.parametrize("target", BAD_OUTPUTS, ids=lambda value: ascii(value)[:40])
def test_output_that_may_not_be_written(
    around: Surroundings, command: Command, tmp_path: Path, target: str
) -> None:
    """Said in one line, before any work, by the command and by the flow's own check."""
    recording = tmp_path / "file.wav"
    recording.write_bytes(wav(tone(8_000)))
    target = around.fill(target)
    with pytest.raises(OutputError) as caught:
        check_writable(target)
    assert str(caught.value).isprintable()
    with pytest.raises(OutputError):
        write_outputs(output_of([]), FORMATS, target)
    code, out, err = command("transcribe", str(recording), f"--output-dir={target}")
    assert (code, out, err) == (USAGE, "", f"longform: {caught.value}\n")
    assert recording.read_bytes() == wav(tone(8_000))


@pytest.mark.parametrize(
    "name",
    [*filter(str.isprintable, FILE_NAMES), "a\nb", "a/../../b", "./a//b/", "~/x"],
    ids=ascii,
)
def test_an_output_folder_of_any_name_is_only_a_folder(
    around: Surroundings, tmp_path: Path, name: str
) -> None:
    """Transcripts lie in the folder that the name means, and nothing else happens."""
    home = tmp_path / "a" / "deep"
    home.mkdir(parents=True)
    os.chdir(home)  # the fixture goes back
    written = write_outputs(output_of([]), ("txt",), name)
    assert Path(written.files[0]).resolve() == (home / name / "talk.txt").resolve()
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1
