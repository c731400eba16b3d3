"""The markdown summary of a run, as an artifact in the Prefect UI."""

from collections.abc import Sequence

from prefect.artifacts import acreate_markdown_artifact

from longform.timeline import clock, to_samples, to_seconds
from longform.transcript.output import TranscribeOutput
from longform.transcript.segment import ChunkResult, Interval

PREVIEW_SEGMENTS = 12
SLOWEST_CHUNKS = 5


async def publish_summary(
    output: TranscribeOutput, results: Sequence[ChunkResult], num_cached: int
) -> None:
    """Create the summary artifact of a run."""
    await acreate_markdown_artifact(
        summary(output, results, num_cached),
        key="transcription-summary",
        description=output.provenance.source_name,
    )


def summary(output: TranscribeOutput, results: Sequence[ChunkResult], num_cached: int) -> str:
    """Return the summary as markdown: figures, files, what is missing, the first lines."""
    parts = [
        f"# {_plain(output.provenance.source_name)}",
        _figures(output, results, num_cached),
        _gaps(output),
        _warnings(output),
        _files(output),
        _slowest(results),
        _preview(output),
    ]
    return "\n\n".join(part for part in parts if part)


def _figures(output: TranscribeOutput, results: Sequence[ChunkResult], num_cached: int) -> str:
    rows = (
        ("Status", output.status.replace("_", " ")),
        ("Duration", f"{output.input_duration_sec:.1f} s"),
        ("Processing", f"{output.processing_duration_sec:.1f} s"),
        ("Speedup", f"{output.speedup:.1f} x real time"),
        ("Macro chunks", f"{len(results)}, {num_cached} from the cache"),
        ("Micro chunks", f"{sum(result.stats.num_micro_chunks for result in results)}"),
        ("Decoded again", f"{sum(result.stats.num_fallbacks for result in results)}"),
        ("Words heard at the second attempt", _sum(results, "num_recovered_words")),
        ("Segments dropped, made up", _sum(results, "num_dropped_segments")),
        ("Segments", f"{len(output.segments)}"),
        ("Segments kept with a flag", f"{sum(bool(each.flags) for each in output.segments)}"),
        ("Model", _plain(output.provenance.model)),
    )
    return _table(("Figure", "Value"), rows)


def _sum(results: Sequence[ChunkResult], figure: str) -> str:
    return f"{sum(getattr(result.stats, figure) for result in results)}"


def _gaps(output: TranscribeOutput) -> str:
    rows = [
        (clock(part.start_sample), clock(part.end_sample), _kind(part), _plain(part.detail))
        for part in output.coverage
        if part.kind in ("failed", "damaged")
    ]
    return "## Missing\n\n" + _table(("From", "To", "What", "Why"), rows) if rows else ""


def _kind(part: Interval) -> str:
    return part.kind if part.channel is None else f"{part.kind}, channel {part.channel}"


def _warnings(output: TranscribeOutput) -> str:
    return "\n".join(f"- **Warning:** {_plain(text)}" for text in output.warnings)


def _files(output: TranscribeOutput) -> str:
    lines = [f"- `{path}`" if "://" not in path else f"- [{path}]({path})" for path in output.files]
    return "## Files\n\n" + "\n".join(lines) if lines else ""


def _slowest(results: Sequence[ChunkResult]) -> str:
    ranked = sorted(results, key=lambda result: result.stats.processing_sec, reverse=True)
    rows = [
        (
            clock(result.start_sample),
            f"{to_seconds(result.span.num_samples):.0f} s",
            f"{result.stats.processing_sec:.1f} s",
            result.stats.worker,
        )
        for result in ranked[:SLOWEST_CHUNKS]
    ]
    return (
        "## Slowest chunks\n\n" + _table(("From", "Audio", "Took", "Worker"), rows) if rows else ""
    )


def _preview(output: TranscribeOutput) -> str:
    lines = [
        f"> `{clock(to_samples(segment.start_time_sec))}` {_plain(segment.text)}"
        for segment in output.segments[:PREVIEW_SEGMENTS]
    ]
    return "## First lines\n\n" + "  \n".join(lines) if lines else "*No speech was found.*"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _plain(text: str) -> str:
    """Keep text from a recording or a server from being read as markup."""
    for sign in "\\`*_[]<>|#":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())
