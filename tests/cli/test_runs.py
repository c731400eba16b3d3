"""`longform runs` and `longform show`: what was transcribed, and its text."""

import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from cli import show as show_command
from cli.main import app
from cli.run_list import find_run, merge
from cli.runs import runs_table, when
from infra.flow_runs import ServerRun
from longform.errors import ParameterError
from longform.runs.history import RunRecord, RunRecorder, read_records
from longform.settings import Settings
from longform.transcript.write import write_outputs
from tests.cli.conftest import Run
from tests.support.transcripts import output_of, segment_of

OUTPUT = output_of([segment_of(" so it was", 0, 8), segment_of(" and is", 8, 10)])
FORMATS = ("json", "srt", "txt", "html")


def record(home: Path, run_id: str, started_sec: float, state: str = "running") -> RunRecorder:
    """Leave the record of a run that has begun."""
    recorder = RunRecorder(
        home,
        RunRecord(
            run_id=run_id,
            flow="transcribe",
            source_name="talk.mp3",
            source_address="talk.mp3",
            state="running",
            started_at_unix_sec=started_sec,
            machine="another",
            pid=1,
            process_start="",
        ),
    )
    recorder.update(state=state)
    return recorder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home with a run that has written files, and a later one that failed."""
    home = tmp_path / "longform-home"
    written = write_outputs(OUTPUT, FORMATS, str(tmp_path / "out"))
    record(home, "aaaa1111-0000", 1_000.0).finish(written)
    record(home, "bbbb2222-0000", 2_000.0).update(state="failed", error="there is no talk.mp3")
    return home


def on_server(run_id: str, state: str, started_sec: float = 1_500.0) -> ServerRun:
    """Return a run that a server knows."""
    return ServerRun(
        run_id=run_id,
        flow="transcribe",
        source_name="far.mp3",
        state=state,
        started_at_unix_sec=started_sec,
        run_url="http://host/run",
    )


@pytest.mark.usefixtures("home")
def test_runs_are_listed_without_a_server(longform: Run) -> None:
    """The newest is first, with state, figures and files; and how to see more is said."""
    done = longform("runs")
    head, newest, oldest = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert head.split() == ["run", "when", "recording", "state", "audio", "speed", "files"]
    assert "failed" in newest
    assert "there is no talk.mp3" in newest
    assert oldest.split()[0] == "aaaa1111"
    assert oldest.split()[-6:] == ["0:10", "5.0×", "out/talk.json", "srt", "txt", "html"]
    assert "longform server start" in done.stderr
    told = longform("runs", "--json", "--state", "complete").stdout.splitlines()
    assert [json.loads(line)["run_id"] for line in told] == ["aaaa1111-0000"]


def test_the_server_completes_what_records_say(home: Path) -> None:
    """How a run ended it knows best; whether it still runs, and what ran elsewhere, the server."""
    record(home, "cccc", 3_000.0)
    record(home, "dddd", 4_000.0)
    server = [
        on_server("aaaa1111-0000", "failed"),
        on_server("cccc", "stopped"),
        on_server("dddd", "running"),
        on_server("eeee", "complete"),
    ]
    states = {run.run_id: run.state for run in merge(read_records(home), server)}
    assert states == {
        "dddd": "running",
        "cccc": "stopped",
        "bbbb2222-0000": "failed",
        "eeee": "complete",
        "aaaa1111-0000": "complete",
    }
    assert list(states) == ["dddd", "cccc", "bbbb2222-0000", "eeee", "aaaa1111-0000"]


def test_a_run_is_found_by_the_beginning_of_its_id(home: Path) -> None:
    """`last` is the newest with files; what names none or several is an error that says so."""
    record(home, "aaaa3333", 500.0)
    runs = merge(read_records(home), ())
    assert find_run(runs, "last").run_id == "aaaa1111-0000"
    assert find_run(runs, "bbbb").run_id == "bbbb2222-0000"
    for wanted, complaint in (("aaaa", "2 runs begin"), ("ffff", "longform runs")):
        with pytest.raises(ParameterError, match=complaint):
            find_run(runs, wanted)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_table_fits_and_names_are_no_markup(home: Path, width: int) -> None:
    """State and files can be read in every width; a name is shown as it is."""
    runs = merge(read_records(home), [on_server("eeee", "complete")])
    runs = [run.model_copy(update={"source_name": "[red]x[/]"}) for run in runs]
    console = Console(width=width)
    with console.capture() as captured:
        console.print(runs_table(runs, 0.0))
    lines = captured.get().splitlines()
    assert all(len(line) <= width for line in lines)
    assert sum("complete" in line for line in lines) == 2
    assert sum("[red]x[/]" in line for line in lines) == 3


def test_another_day_has_its_date() -> None:
    """Of today only the time is shown."""
    assert len(when(1e9, 1e9)) == len("01:46")
    assert when(1e9, 1e9 + 86_400).startswith("2001-09-0")


@pytest.mark.usefixtures("home")
def test_a_transcript_is_shown(longform: Run, tmp_path: Path) -> None:
    """By run, as the last one, or by a file; in a format that was written, or that was not."""
    text = "so it was\nand is\n"
    assert longform("show").stdout == text
    assert longform("show", "aaaa").stdout == text
    assert longform("show", "out/talk.html").stdout == text
    assert longform("show", "-f", "srt").stdout == (tmp_path / "out" / "talk.srt").read_text()
    assert longform("show", "-f", "vtt").stdout.startswith("WEBVTT")
    shown = json.loads(longform("show", "--json").stdout)
    assert shown["segments"][1]["text"] == " and is"


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["bbbb"], "there is no talk.mp3"),
        (["nope"], "no run 'nope'"),
        (["-f", "doc"], "no format 'doc'"),
        (["out/none.json"], "is no transcript"),
        (["-f", "tsv", "out/only.txt"], "tsv was not written; there is txt"),
    ],
)
def test_what_cannot_be_shown_is_said(
    longform: Run, tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    """Each in one line, with the exit code of usage."""
    (tmp_path / "out" / "only.txt").write_text("words\n")
    done = longform("show", *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_page_is_opened(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--open hands the HTML file to the browser, as an address."""
    opened: list[str] = []
    monkeypatch.setattr(show_command.typer, "launch", opened.append)
    monkeypatch.setenv("LONGFORM_HOME", str(home))
    done = CliRunner().invoke(app, ["show", "--open"])
    assert done.exit_code == 0, done.output
    assert opened == [(tmp_path / "out" / "talk.html").as_uri()]


def test_values_are_completed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Formats in a list, languages with their names, runs with their recordings, models."""
    from faster_whisper import available_models

    from cli import completion

    monkeypatch.setenv("LONGFORM_HOME", str(home))
    assert completion.formats("srt,v") == ["srt,vtt"]
    assert "all" in completion.formats("")
    assert ("de", "german") in completion.languages("d")
    assert ("en,fr", "french") in completion.language_list("en,f")
    assert completion.run_ids("a") == [("aaaa1111", "talk.mp3")]
    assert completion.engines("r") == ["remote"]
    assert completion.CHUNKINGS("v") == ["vad"]
    assert set(completion.MODELS) == set(available_models())
    assert Settings().home == home
