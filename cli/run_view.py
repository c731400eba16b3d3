"""The picture of a run on a terminal: a header, a lane per slot, figures, the last line heard."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from longform.audio import clock, to_samples
from longform.runs.progress_events import RunningChunk, RunProgress

# Which worker is at which macro chunk: lanes that keep their place while chunks come and go.


@dataclass(slots=True)
class Lane:
    """One slot of a worker; `chunk` is None while it waits for the next."""

    worker: str
    chunk: RunningChunk | None


class Lanes:
    """The lanes of a run: as many as chunks have ever run at a time, so that nothing jumps."""

    def __init__(self) -> None:
        self._lanes: list[Lane] = []
        self._workers: dict[str, int] = {}

    def take_in(self, running: Iterable[RunningChunk]) -> None:
        """Take chunks off their lanes that have ended, and put new ones where there is room."""
        chunks = {(chunk.channel, chunk.macro_chunk): chunk for chunk in running}
        for lane in self._lanes:
            place = (lane.chunk.channel, lane.chunk.macro_chunk) if lane.chunk else None
            # One that was begun again elsewhere has left the lane of the worker that died.
            stays = place in chunks and chunks[place].worker == lane.worker
            lane.chunk = chunks.pop(place) if place and stays else None
        for chunk in chunks.values():
            self._place(chunk)

    def _place(self, chunk: RunningChunk) -> None:
        self._workers.setdefault(chunk.worker, len(self._workers) + 1)
        idle = [lane for lane in self._lanes if lane.chunk is None]
        own = [lane for lane in idle if lane.worker == chunk.worker]
        if not idle:
            self._lanes.append(Lane(chunk.worker, chunk))
            self._lanes.sort(key=lambda lane: self._workers[lane.worker])
            return
        lane = (own or idle)[0]
        lane.worker, lane.chunk = chunk.worker, chunk

    def rows(self) -> list[tuple[str, RunningChunk | None]]:
        """Return the lanes in order, the name of a worker in the first of its own only."""
        rows, previous = [], ""
        for lane in self._lanes:
            rows.append(("" if lane.worker == previous else self._name(lane.worker), lane.chunk))
            previous = lane.worker
        return rows

    def _name(self, worker: str) -> str:
        """Return a number, and the host where there are several."""
        hosts = {name.rpartition(":")[0] for name in self._workers}
        number = self._workers[worker]
        return f"worker {number}" if len(hosts) < 2 else f"{worker.partition(':')[0]} {number}"


# How long a run will still take, as a figure that counts down and does not jump about.


WEIGHT_OF_NEWS = 0.3  # of each new estimate of the end; batches come in lumps of minutes


class TimeLeft:
    """Follows one run. Times are those of any one clock, in seconds."""

    def __init__(self) -> None:
        self._seen_samples = 0
        self._end_sec: float | None = None

    def take_in(self, now: RunProgress, clock_sec: float) -> None:
        """Estimate the end anew where audio has been transcribed since the last call.

        Between two batches the speed only seems to fall, so nothing is estimated then.
        """
        transcribed = now.done_samples - now.cached_samples
        remaining_sec = now.remaining_sec
        if transcribed == self._seen_samples or remaining_sec is None:
            return
        self._seen_samples = transcribed
        end_sec = clock_sec + remaining_sec
        if self._end_sec is not None:
            end_sec = self._end_sec + WEIGHT_OF_NEWS * (end_sec - self._end_sec)
        self._end_sec = end_sec

    def at(self, clock_sec: float) -> float | None:
        """Return the seconds that are left; None while nothing is known."""
        return None if self._end_sec is None else max(0.0, self._end_sec - clock_sec)


NARROW = 64  # columns; below it a lane shows where its chunk begins, and not where it ends
MAX_WORKER_CHARACTERS = 16
OTHER_ROWS = 9  # header, overall bar, figures, last line, blanks: what a lane must leave room for
MARGIN = 3  # columns: a terminal writes ^C behind the last line, and must not wrap it
HOUR_SEC = 3_600.0
STARTING = "workers are starting and load the model"


@dataclass(frozen=True, slots=True)
class Place:
    """Which recording of how many; counted from 1."""

    number: int
    total: int


class RunView:
    """Drawn anew several times a second, from what `take_in` was told last.

    `line_widths` are the columns that its lines took when it was last drawn.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self._now = RunProgress("", "starting")
        self._lanes = Lanes()
        self._time_left = TimeLeft()
        self._spinner = Spinner("dots", style="cyan")
        self._clock_sec = 0.0
        self._stopping = False
        self.line_widths: tuple[int, ...] = ()

    def take_in(self, now: RunProgress, clock_sec: float) -> None:
        """Take note of where the run stands."""
        self._now = now
        self._lanes.take_in(now.running)
        self._time_left.take_in(now, clock_sec)

    def tick(self, clock_sec: float) -> None:
        """Let time pass."""
        self._clock_sec = clock_sec

    def stop(self) -> None:
        """Say from now on that the run is being stopped."""
        self._stopping = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it in the width that there is."""
        room = max(1, options.size.height - OTHER_ROWS)
        width = max(1, options.max_width - MARGIN)
        parts = Group(*self._parts(width, room))
        lines = console.render_lines(parts, options.update(width=width, height=None), pad=False)
        self.line_widths = tuple(map(Segment.get_line_length, lines))
        for number, line in enumerate(lines):
            yield from line
            if number < len(lines) - 1:
                yield Segment.line()

    def _parts(self, width: int, room: int) -> Iterator[Table | Text]:
        now = self._now
        yield self._header()
        if now.stage == "transcribing" and not self._stopping:
            yield Text()
            yield self._bars(width, room)
        if figures := [*self._figures(width)]:
            line = Text("  ", no_wrap=True, overflow="ellipsis")
            yield line.append_text(Text.assemble((" · ", "dim")).join(figures))
        if now.last_text:
            yield Text()
            yield _last_line(now)

    def _header(self) -> Table:
        now = self._now
        stage = "stopping: what is finished is kept" if self._stopping else now.stage
        title = Text(no_wrap=True, overflow="ellipsis")
        title.append(now.source_name or "longform", style="bold")
        if now.total_samples:
            title.append(f"  {clock(now.total_samples)}", style="dim")
        if self.place.total > 1:
            title.append(f"  {self.place.number} of {self.place.total}", style="dim")
        said = Text(stage, style="yellow" if self._stopping else "cyan", no_wrap=True)
        table = Table.grid(expand=True, padding=(0, 1))
        table.add_column(width=1)
        table.add_column(ratio=1, no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_row(self._spinner, title, said)
        return table

    def _bars(self, width: int, room: int) -> Table:
        now, rows = self._now, self._lanes.rows()
        table = Table.grid(expand=True, padding=(0, 1))
        table.add_column(width=1)
        table.add_column(no_wrap=True, style="dim", max_width=MAX_WORKER_CHARACTERS)
        table.add_column(no_wrap=True, justify="right")
        table.add_column(ratio=1)
        table.add_column(no_wrap=True, justify="right", width=4)
        for worker, chunk in rows[:room]:
            table.add_row("", worker, *_lane(chunk, width))
        if len(rows) > room:
            table.add_row("", f"{len(rows) - room} more")
        if not rows and now.done_chunks == now.cached_chunks:
            table.add_row("", "", "", Text(STARTING, style="dim"))
        done = Text(clock(now.done_samples), style="bold")
        bar = _bar(now.fraction, "green", is_begun=now.done_samples > 0)
        table.add_row()
        table.add_row("", Text("all", style="bold"), done, bar, _percent(now.fraction))
        return table

    def _figures(self, width: int) -> Iterator[Text]:
        now, left_sec = self._now, self._time_left.at(self._clock_sec)
        if now.speed:
            unit = " real time" if width >= NARROW else ""
            yield Text(f"{now.speed:.1f}×{unit}", style="bold green")
        if left_sec:
            yield Text(f"{minutes(left_sec)} left")
        if now.total_chunks or now.done_chunks:
            of = " of " if width >= NARROW else "/"
            yield Text(f"{now.done_chunks}{of}{now.total_chunks or '?'} chunks")
        if now.cached_chunks:
            yield Text(f"{now.cached_chunks} cached", style="dim")
        if now.failed_chunks:
            yield Text(f"{now.failed_chunks} failed", style="bold red")


def minutes(seconds: float) -> str:
    """Return a duration as m:ss, or h:mm:ss from an hour on."""
    text = clock(to_samples(seconds))
    return text.removeprefix("0:").removeprefix("0") if seconds < HOUR_SEC else text


def _lane(chunk: RunningChunk | None, width: int) -> tuple[Text, ProgressBar | Text, Text]:
    if chunk is None:
        return Text(), Text("waits for a chunk", style="dim"), Text()
    stretch = clock(chunk.start_sample)
    if width >= NARROW:
        stretch += f"–{clock(chunk.end_sample)}"
    if chunk.channel is not None:
        stretch = f"ch {chunk.channel} {stretch}"
    bar = _bar(chunk.fraction, "cyan", is_begun=chunk.done_samples > 0)
    return Text(stretch), bar, _percent(chunk.fraction)


def _bar(fraction: float, style: str, *, is_begun: bool) -> ProgressBar:
    """Return a bar, which moves to and fro until the first of it is done."""
    return ProgressBar(
        completed=fraction,
        total=1.0,
        complete_style=style,
        finished_style=style,
        pulse_style=style,
        pulse=not is_begun,
    )


def _percent(fraction: float) -> Text:
    return Text(f"{100 * fraction:.0f}%")


def _last_line(now: RunProgress) -> Text:
    at = f"  {clock(now.last_text_sample)}  "
    text = " ".join(now.last_text.split())
    return Text.assemble((at, "dim"), (text, "italic"), no_wrap=True, overflow="ellipsis")
