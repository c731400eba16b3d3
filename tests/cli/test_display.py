"""What a person sees while recordings are transcribed: the picture, and plain lines."""

import io
import os
import re
import sys
from collections.abc import Iterable

import pyte
import pytest
from rich.console import Console

from cli.display import PlainDisplay, QuietDisplay, open_display
from cli.live_display import CapturedStderr, LiveDisplay
from cli.run_view import Lanes, Place, RunView, TimeLeft
from longform.runs.progress_events import RunningChunk, RunProgress

MINUTE = 60 * 16_000  # samples


def running(
    number: int, worker: str = "host:1", done: float = 0.5, channel: int | None = None
) -> RunningChunk:
    """Return a chunk of five minutes that is done in part."""
    start = 5 * MINUTE * number
    return RunningChunk(
        number, channel, worker, start, start + 5 * MINUTE, round(5 * MINUTE * done)
    )


def progress(*chunks: RunningChunk, **changes: object) -> RunProgress:
    """Return where the run of a recording of an hour stands after ten minutes of work."""
    told = {
        "source_name": "lecture with a rather long name.m4a",
        "stage": "transcribing",
        "done_chunks": 4,
        "total_chunks": 12,
        "cached_chunks": 1,
        "cached_samples": 5 * MINUTE,
        "done_samples": 25 * MINUTE,
        "total_samples": 60 * MINUTE,
        "working_sec": 600.0,
        "last_text": "and this is what was said, " * 8,
        "last_text_sample": 24 * MINUTE,
    }
    return RunProgress(running=chunks, **(told | changes))


def drawn(now: RunProgress, width: int, height: int = 24) -> list[str]:
    """Return the lines of the picture in a terminal of some size."""
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True)
    view = RunView(Place(2, 3))
    view.take_in(now, 0.0)
    view.tick(0.0)
    with console.capture() as captured:
        console.print(view)
    screen = pyte.Screen(width, height)
    pyte.Stream(screen).feed(captured.get().replace("\n", "\r\n"))
    return [line.rstrip() for line in screen.display if line.strip()]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_picture_has_all_in_every_width(width: int) -> None:
    """A header, lanes, the whole, figures and the last line: one line each, none cut but text."""
    chunks = (running(5), running(6, done=0.0), running(7, "host:2", done=0.25))
    lines = drawn(progress(*chunks, failed_chunks=1), width)
    header, one, two, three, whole, figures, heard = lines
    assert "lecture with a" in header
    assert header.endswith("transcribing")
    assert [line.split()[-1] for line in (one, two, three, whole)] == ["50%", "0%", "25%", "42%"]
    assert "worker 1" in one
    assert "worker" not in two
    assert "worker 2 0:35:00" in three
    assert "0:25:00" in whole
    for figure in ("2.0×", "17:30 left", "12 chunks", "1 cached", "1 failed"):
        assert figure in figures
    assert heard.startswith("  0:24:00  and this is what was said")
    assert all(len(line) <= width - 3 for line in lines)


def test_more_lanes_than_rows_are_counted() -> None:
    """A cluster that is larger than the terminal leaves the header and the figures in sight."""
    lines = drawn(progress(*(running(n, f"host:{n}") for n in range(30))), 80, height=20)
    assert len(lines) < 20
    assert any(line.strip() == "19 more" for line in lines)
    assert lines[0].endswith("transcribing")


def test_lanes_keep_their_place() -> None:
    """A chunk stays where it is while others end and begin; a lane waits, and does not go."""
    lanes = Lanes()

    def numbers(chunks: Iterable[RunningChunk]) -> list[int | None]:
        lanes.take_in(chunks)
        return [chunk.macro_chunk if chunk else None for _, chunk in lanes.rows()]

    a, b, c, d = running(0), running(1, "host:2"), running(2), running(3, "host:2")
    assert numbers([a, b]) == [0, 1]
    assert numbers([a, b, c]) == [0, 2, 1]
    assert numbers([b, c]) == [None, 2, 1]
    assert numbers([c, d]) == [None, 2, 3]
    assert [name for name, _ in lanes.rows()] == ["worker 1", "", "worker 2"]
    moved = running(2, "host:3")  # its worker has died
    assert numbers([moved, d]) == [2, None, 3]


def test_workers_of_several_hosts_are_told_apart() -> None:
    """Where there is more than one machine, a lane says on which it is."""
    lanes = Lanes()
    lanes.take_in([running(0, "ant:7"), running(1, "bee:7")])
    assert [name for name, _ in lanes.rows()] == ["ant 1", "bee 2"]


def test_the_time_left_counts_down_between_batches() -> None:
    """Nothing done means no guess; between two batches it falls; news move it, but not at once."""
    left = TimeLeft()
    left.take_in(progress(done_samples=5 * MINUTE), 0.0)
    assert left.at(0.0) is None
    left.take_in(progress(), 0.0)
    assert left.at(0.0) == pytest.approx(1_050)
    left.take_in(progress(working_sec=660.0), 60.0)  # no news
    assert left.at(60.0) == pytest.approx(990)
    left.take_in(progress(done_samples=45 * MINUTE), 100.0)  # twice as fast, all of a sudden
    assert 225 < (left.at(100.0) or 0) < 950
    assert left.at(10_000.0) == 0.0


@pytest.mark.parametrize("text", ["[/red]", "[bold]a[/]", "[link=file:///x]y", "\\[", "plain"])
def test_names_and_words_are_no_markup(text: str) -> None:
    """What a recording is called, and what is said in it, is shown as it is."""
    lines = drawn(progress(source_name=text, last_text=text), 200)
    assert text in lines[0]
    assert text in lines[-1]


def test_lines_stay_above_the_picture_and_the_picture_goes() -> None:
    """What is said is above, drawn once; at the end only that is left, and the cursor."""
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=24)
    with LiveDisplay(console) as display:
        display.begin(1, 1)
        display.show(progress(running(5), run_url="http://host/run"))
        display.say("a warning")
        with display.paused():
            console.print("a result")
        display.stop()
    raw = console.file.getvalue()
    screen = pyte.Screen(80, 24)
    pyte.Stream(screen).feed(raw.replace("\n", "\r\n"))
    assert "transcribing" in raw
    left = [line.strip() for line in screen.display if line.strip()]
    assert left == ["watch http://host/run", "a warning", "a result"]
    assert raw.rindex("\x1b[?25h") > raw.rindex("\x1b[?25l")


def test_what_children_write_comes_line_by_line(capfd: pytest.CaptureFixture[str]) -> None:
    """The descriptor of stderr, which children inherit, is read; then it is as it was."""
    lines: list[str] = []
    with CapturedStderr(lines.append) as captured:
        os.system("printf 'one\\n  10%%\\r 100%%\\nrest' >&2")  # noqa: S605
        captured.terminal.write("to the terminal\n")
        captured.terminal.flush()
    os.write(2, b"afterwards\n")
    assert lines == ["one", " 100%", "rest"]
    assert capfd.readouterr().err == "to the terminal\nafterwards\n"


def test_a_pipe_gets_lines_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    """Stages and failures are told at once, chunks at intervals, the address of the run once."""
    clock = iter([0.0, 0.0, 1.0, 2.0, 9.0, 9.0, 9.5, 9.5, 10.0, 10.0])
    display = PlainDisplay(lambda: next(clock))
    display.begin(1, 1)
    for now in (
        progress(done_chunks=0, run_url="http://host/run"),
        progress(done_chunks=1, run_url="http://host/run"),
        progress(done_chunks=2, run_url="http://host/run"),
        progress(done_chunks=3, failed_chunks=1, run_url="http://host/run"),
        progress(done_chunks=9, failed_chunks=1, stage="writing", run_url="http://host/run"),
    ):
        display.show(now)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "watch http://host/run"
    assert [line.partition(".m4a: ")[2].split(" chunks")[0] for line in lines[1:]] == [
        "transcribing 0/12",
        "transcribing 3/12",
        "writing 9/12",
    ]


def test_the_display_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """No terminal and a dumb one get lines, though colours are forced; --quiet gets nothing."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    assert type(open_display(quiet=False)) is PlainDisplay
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert type(open_display(quiet=False)) is LiveDisplay
    assert type(open_display(quiet=True)) is QuietDisplay
    monkeypatch.setenv("TERM", "dumb")
    assert type(open_display(quiet=False)) is PlainDisplay


def test_no_color_means_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR the picture is drawn all the same, and no sequence in it sets a colour."""
    monkeypatch.setenv("NO_COLOR", "1")
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=24)
    view = RunView(Place(1, 1))
    view.take_in(progress(running(5)), 0.0)
    console.print(view)
    codes = re.findall(r"\x1b\[([0-9;]*)m", console.file.getvalue())
    assert codes
    # 0 to 9 are bold, dim and the like; 30 and up are colours.
    assert all(int(code) < 10 for each in codes for code in each.split(";") if code)
