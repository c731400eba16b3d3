"""When each macro chunk ran, and where: a chart of chunks over workers, as SVG.

A picture of one row for each worker's slot, because a Mermaid gantt gives each of 120 chunks a
row of its own.
"""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from longform.transcript.segment import ChunkResult

WIDTH_PX, LABEL_PX, ROW_PX, AXIS_PX = 960, 190, 22, 26
BAR_PX = 16
MIN_LABELLED_PX = 22  # narrower bars have no room for a number
MAX_BARS = 1_000  # 150 KB of picture; more could not be told apart
TICKS = 6
MAX_NAME_CHARS = 26
PLAIN_COLOUR, AGAIN_COLOUR = "#4a7bd0", "#d08a3a"
TEXT_COLOUR, LINE_COLOUR = "#808080", "#80808050"  # legible on white and on black
NICE_STEPS_SEC = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400)


@dataclass(frozen=True, slots=True)
class Bar:
    """One chunk on the chart; seconds count from the start of the first one."""

    index: int
    start_sec: float
    end_sec: float
    row: int
    decoded_again: bool


def chart_bars(results: Sequence[ChunkResult]) -> tuple[tuple[Bar, ...], tuple[str, ...]]:
    """Return the bars and the name of each row: a worker has as many rows as it ran chunks at once.

    Chunks without times, as records of old have them, are left out.
    """
    timed = [each for each in results if each.stats.ended_at_unix_sec > 0]
    timed.sort(key=lambda each: (each.stats.worker, each.stats.started_at_unix_sec))
    if not timed:
        return (), ()
    origin_sec = min(each.stats.started_at_unix_sec for each in timed)
    names: list[str] = []
    free_sec: list[float] = []  # of each row, when its last chunk ended
    bars = []
    for each in timed:
        stats = each.stats
        row = _free_row(names, free_sec, stats.worker, stats.started_at_unix_sec)
        free_sec[row] = stats.ended_at_unix_sec
        bars.append(
            Bar(
                index=each.index,
                start_sec=stats.started_at_unix_sec - origin_sec,
                end_sec=stats.ended_at_unix_sec - origin_sec,
                row=row,
                decoded_again=stats.num_fallbacks > 0,
            )
        )
    return tuple(bars), tuple(names)


def chart_svg(results: Sequence[ChunkResult]) -> str:
    """Return the chart; empty where no chunk has times."""
    bars, names = chart_bars(results)
    if not bars:
        return ""
    total_sec = max(bar.end_sec for bar in bars) or 1.0
    scale = (WIDTH_PX - LABEL_PX - 10) / total_sec
    height = AXIS_PX + ROW_PX * len(names) + 4
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH_PX}" height="{height}" '
        f'viewBox="0 0 {WIDTH_PX} {height}" font-family="sans-serif" font-size="11">',
        *_axis(total_sec, scale, height),
        *(_name(name, row) for row, name in enumerate(names) if row == names.index(name)),
        *(_bar(bar, scale) for bar in bars[:MAX_BARS]),
        "</svg>",
    ]
    return "".join(parts)


def data_address(svg: str) -> str:
    """Return a picture as an address that holds it, which needs no request."""
    return f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"


def _free_row(names: list[str], free_sec: list[float], worker: str, start_sec: float) -> int:
    for row, name in enumerate(names):
        if name == worker and free_sec[row] <= start_sec:
            return row
    names.append(worker)
    free_sec.append(0.0)
    return len(names) - 1


def _axis(total_sec: float, scale: float, height: int) -> list[str]:
    wanted = total_sec / TICKS
    step = next((nice for nice in NICE_STEPS_SEC if nice >= wanted), NICE_STEPS_SEC[-1])
    parts = []
    for number in range(int(total_sec / step) + 1):
        x = LABEL_PX + number * step * scale
        parts.append(
            f'<line x1="{x:.1f}" y1="{AXIS_PX - 6}" x2="{x:.1f}" y2="{height}" '
            f'stroke="{LINE_COLOUR}"/>'
            f'<text x="{x:.1f}" y="14" fill="{TEXT_COLOUR}" text-anchor="middle">'
            f"{_tick(number * step)}</text>"
        )
    return parts


def _tick(seconds: int) -> str:
    if seconds < 60:
        return f"{seconds} s"
    minutes, rest = divmod(seconds, 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _name(name: str, row: int) -> str:
    shown = name if len(name) <= MAX_NAME_CHARS else f"…{name[-MAX_NAME_CHARS:]}"
    return (
        f'<text x="{LABEL_PX - 8}" y="{AXIS_PX + row * ROW_PX + 13}" fill="{TEXT_COLOUR}" '
        f'text-anchor="end">{escape(shown)}</text>'
    )


def _bar(bar: Bar, scale: float) -> str:
    x = LABEL_PX + bar.start_sec * scale
    y = AXIS_PX + bar.row * ROW_PX
    width = max(1.0, (bar.end_sec - bar.start_sec) * scale - 1)
    colour = AGAIN_COLOUR if bar.decoded_again else PLAIN_COLOUR
    drawn = (
        f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR_PX}" rx="2" fill="{colour}"/>'
    )
    if width < MIN_LABELLED_PX:
        return drawn
    return (
        f'{drawn}<text x="{x + width / 2:.1f}" y="{y + 12}" fill="#ffffff" '
        f'text-anchor="middle">{bar.index}</text>'
    )
