"""What a run leaves in the Prefect UI: a summary, a timeline of its chunks, and tags."""

from collections import Counter
from collections.abc import Sequence
from urllib.parse import urlsplit

from prefect.artifacts import acreate_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from longform.audio import clock, to_samples, to_seconds
from longform.chunking.macro import Split
from longform.pipeline.chunk_outcomes import ChunkOutcomes
from longform.transcript.chunk_chart import chart_svg, data_address
from longform.transcript.markdown import code, folded, link, plain, table
from longform.transcript.output import TranscribeOutput
from longform.transcript.segment import ChunkResult, Interval

PREVIEW_SEGMENTS = 12
SLOWEST_CHUNKS = 5
MAX_ROWS = 500  # of seams or gaps; the transcript's JSON has all of them
TAG = "longform"


async def publish_summary(output: TranscribeOutput, outcomes: ChunkOutcomes) -> None:
    """Create the artifacts of a run that has its transcript, and tag it by what came out."""
    name = output.provenance.source_name
    await acreate_markdown_artifact(
        summary(output, outcomes), key="transcription-summary", description=name
    )
    if drawn := timeline(outcomes):
        await acreate_markdown_artifact(drawn, key="transcription-timeline", description=name)
    await add_tags(tags_of(output))


async def add_tags(tags: Sequence[str]) -> None:
    """Add tags to this flow run."""
    async with get_client() as api:
        known = (await api.read_flow_run(flow_run.id)).tags
        await api.update_flow_run(flow_run.id, tags=sorted({*known, *tags}))


def tags_of(output: TranscribeOutput) -> tuple[str, ...]:
    """Return what a run can be found by: host, language, and whether something is missing.

    Of the recording's address only the host, or the bucket, is taken: the rest may be secret.
    """
    parts = urlsplit(output.provenance.source_address)
    place = f"host:{parts.hostname}" if parts.hostname else "source:file"
    language = (f"language:{output.bcp47_key}",) if output.bcp47_key else ()
    state = () if output.status == "complete" else (output.status.replace("_", "-"),)
    return (TAG, place, *language, *state)


def summary(output: TranscribeOutput, outcomes: ChunkOutcomes) -> str:
    """Return the summary as markdown: figures, files, what is missing, the first lines."""
    results = outcomes.results
    parts = [
        f"# {plain(output.provenance.source_name)}",
        _figures(output, outcomes),
        _gaps(output),
        _warnings(output),
        _files(output),
        _preview(output),
        _languages(results),
        _seams(outcomes.splits),
        _slowest(outcomes.fresh),
        _links(output, outcomes),
    ]
    return "\n\n".join(part for part in parts if part)


def timeline(outcomes: ChunkOutcomes) -> str:
    """Return the chart of the chunks that this run transcribed; empty where there is none."""
    fresh = outcomes.fresh
    svg = chart_svg(fresh)
    if not svg:
        return ""
    parts = [
        "# Chunks over workers",
        "Seconds since the first chunk began, by each worker's own clock. Orange: some of the "
        "chunk was decoded again.",
        f"![Chunks over workers]({data_address(svg)})",
        table(("Worker", "Chunks", "Audio", "Busy"), _workers(fresh)),
    ]
    if outcomes.num_cached:
        parts.append(f"{outcomes.num_cached} more came from the cache.")
    return "\n\n".join(parts)


def _figures(output: TranscribeOutput, outcomes: ChunkOutcomes) -> str:
    results, made_by = outcomes.results, output.provenance
    rows = (
        ("Status", output.status.replace("_", " ")),
        ("Duration", f"{output.input_duration_sec:.1f} s"),
        ("Speech", f"{output.speech_sec:.1f} s"),
        ("Damaged", f"{output.damaged_sec:.2f} s"),
        ("Processing", f"{output.processing_duration_sec:.1f} s"),
        ("Speedup", f"{output.speedup:.1f} x real time"),
        ("Macro chunks", f"{len(results)}, {outcomes.num_cached} from the cache"),
        ("Micro chunks", f"{sum(result.stats.num_micro_chunks for result in results)}"),
        ("Decoded again", f"{sum(result.stats.num_fallbacks for result in results)}"),
        ("Words heard at the second attempt", _sum(results, "num_recovered_words")),
        ("Segments dropped, made up", _sum(results, "num_dropped_segments")),
        ("Segments", f"{len(output.segments)}"),
        ("Segments kept with a flag", f"{sum(bool(each.flags) for each in output.segments)}"),
        ("Language", plain(output.language or "none")),
        ("Model", plain(made_by.model)),
        ("Engine", plain(made_by.engine)),
        ("Read", f"{made_by.access}, from {plain(made_by.source_address)}"),
    )
    return table(("Figure", "Value"), rows)


def _sum(results: Sequence[ChunkResult], figure: str) -> str:
    return f"{sum(getattr(result.stats, figure) for result in results)}"


def _gaps(output: TranscribeOutput) -> str:
    rows = [
        (clock(part.start_sample), clock(part.end_sample), _kind(part), plain(part.detail))
        for part in output.coverage
        if part.kind in ("failed", "damaged")
    ]
    return _section("Missing", ("From", "To", "What", "Why"), rows)


def _kind(part: Interval) -> str:
    return part.kind if part.channel is None else f"{part.kind}, channel {part.channel}"


def _warnings(output: TranscribeOutput) -> str:
    return "\n".join(f"- **Warning:** {plain(text)}" for text in output.warnings)


def _files(output: TranscribeOutput) -> str:
    lines = [f"- {link(path)}" for path in output.files]
    return "## Files\n\n" + "\n".join(lines) if lines else ""


def _preview(output: TranscribeOutput) -> str:
    lines = [
        f"> `{clock(to_samples(segment.start_time_sec))}` {plain(segment.text)}"
        for segment in output.segments[:PREVIEW_SEGMENTS]
    ]
    return "## First lines\n\n" + "  \n".join(lines) if lines else "*No speech was found.*"


def _languages(results: Sequence[ChunkResult]) -> str:
    heard: Counter[str] = Counter()
    for result in results:
        heard.update(result.languages)
    if len(heard) < 2:
        return ""
    rows = [(plain(name), f"{seconds:.0f} s") for name, seconds in heard.most_common()]
    return _section("Languages", ("Language", "Speech"), rows)


def _seams(splits: Sequence[Split]) -> str:
    if not splits:
        return ""
    counted = Counter(_decided(split) for split in splits)
    told = "; ".join(f"{number} {how}" for how, number in counted.most_common())
    rows = [(clock(split.sample), _decided(split)) for split in splits[:MAX_ROWS]]
    return f"## Seams\n\n{told}.\n\n" + folded("Each of them", table(("At", "Cut"), rows))


def _decided(split: Split) -> str:
    if not split.is_silent:
        return "in speech, both sides listening into each other"
    return "in a pause" if split.kind == "pause" else "at the quietest point"


def _slowest(results: Sequence[ChunkResult]) -> str:
    ranked = sorted(results, key=lambda result: result.stats.processing_sec, reverse=True)
    rows = [
        (
            clock(result.start_sample),
            f"{to_seconds(result.span.num_samples):.0f} s",
            f"{result.stats.processing_sec:.1f} s",
            code(result.stats.worker),
        )
        for result in ranked[:SLOWEST_CHUNKS]
    ]
    return _section("Slowest chunks", ("From", "Audio", "Took", "Worker"), rows)


def _workers(results: Sequence[ChunkResult]) -> list[tuple[str, ...]]:
    began = min(result.stats.started_at_unix_sec for result in results)
    took_sec = max(result.stats.ended_at_unix_sec for result in results) - began
    by_worker: dict[str, list[ChunkResult]] = {}
    for result in results:
        by_worker.setdefault(result.stats.worker, []).append(result)
    return [
        (
            code(worker),
            f"{len(done)}",
            f"{sum(to_seconds(each.span.num_samples) for each in done):.0f} s",
            f"{_busy_sec(done) / took_sec if took_sec else 0:.0%}",
        )
        for worker, done in sorted(by_worker.items())
    ]


def _busy_sec(results: Sequence[ChunkResult]) -> float:
    """Return the seconds in which at least one of the chunks ran."""
    total_sec, until_sec = 0.0, 0.0
    for start_sec, end_sec in sorted(
        (each.stats.started_at_unix_sec, each.stats.ended_at_unix_sec) for each in results
    ):
        total_sec += max(0.0, end_sec - max(start_sec, until_sec))
        until_sec = max(until_sec, end_sec)
    return total_sec


def _links(output: TranscribeOutput, outcomes: ChunkOutcomes) -> str:
    links = (("Dask dashboard", outcomes.dashboard_url), ("This run", output.run_url))
    lines = [f"- {link(address, label)}" for label, address in links if address]
    return "## Links\n\n" + "\n".join(lines) if lines else ""


def _section(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    left_out = len(rows) - MAX_ROWS
    more = f"\n\n{left_out} more are in the JSON file." if left_out > 0 else ""
    return f"## {title}\n\n{table(head, rows[:MAX_ROWS])}{more}"
