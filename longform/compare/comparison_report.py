"""A comparison for people: figures, and every change in its context."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as package_files
from itertools import pairwise
from typing import Any

from longform.compare.alignment import Comparison, Kind, Passage, Token
from longform.transcript.page.contents import clock

CONTEXT_WORDS = 6  # on either side of a change
PARAGRAPH_WORDS = 80  # in the whole text


@dataclass(frozen=True, slots=True)
class Change:
    """One change, with the words around it; `start` is "" where no time is known."""

    kind: Kind
    start: str
    lead: str
    before: str
    after: str
    trail: str


def changes(comparison: Comparison) -> Iterator[Change]:
    """Yield the changes in order."""
    around = (None, *comparison.passages, None)
    for (earlier, passage), (_, later) in zip(
        pairwise(around[:-1]), pairwise(around[1:]), strict=True
    ):
        if passage is None or passage.kind == "equal":
            continue
        yield Change(
            kind=passage.kind,
            start="" if passage.start_sec is None else clock(passage.start_sec),
            lead=_words(earlier.after[-CONTEXT_WORDS:]) if earlier else "",
            before=_words(passage.before),
            after=_words(passage.after),
            trail=_words(later.after[:CONTEXT_WORDS]) if later else "",
        )


def figures(comparison: Comparison) -> list[tuple[str, str]]:
    """Return the figures of a comparison."""
    return [
        ("Words in A", f"{comparison.num_words:,}"),
        ("Word error rate", _percent(comparison.word_error_rate)),
        ("Character error rate", _percent(comparison.character_error_rate)),
        ("Replaced", f"{comparison.substitutions:,}"),
        ("Only in A", f"{comparison.deletions:,}"),
        ("Only in B", f"{comparison.insertions:,}"),
    ]


def most_common(comparison: Comparison, count: int = 10) -> list[tuple[str, int]]:
    """Return the replacements that occur most often, as "a → b", where any occurs twice."""
    pairs = Counter(
        f"{_compared(p.before)} → {_compared(p.after)}"
        for p in comparison.changes
        if p.kind == "replaced"
    )
    return [(pair, times) for pair, times in pairs.most_common(count) if times > 1]


def report_text(comparison: Comparison, limit: int | None = None) -> str:
    """Return the comparison as lines of text; `limit` is how many changes are listed."""
    lines = [f"A  {comparison.before_name}", f"B  {comparison.after_name}", ""]
    lines += [f"{term:<22}{value:>10}" for term, value in figures(comparison)]
    found = list(changes(comparison))
    shown = found if limit is None else found[:limit]
    if shown:
        lines.append("")
    lines += [_line(change) for change in shown]
    if len(shown) < len(found):
        lines.append(f"… and {len(found) - len(shown):,} more changes")
    return "\n".join(lines) + "\n"


def report_page(comparison: Comparison) -> str:
    """Return the comparison as one HTML document that needs nothing else."""
    return str(
        _template().render(
            comparison=comparison,
            figures=figures(comparison),
            common=most_common(comparison),
            changes=list(changes(comparison)),
            paragraphs=list(_paragraphs(comparison.passages)),
        )
    )


def _line(change: Change) -> str:
    before = f"[-{change.before}-]" if change.before else ""
    after = f"{{+{change.after}+}}" if change.after else ""
    parts = (f"{change.start:>8}", change.lead, before + after, change.trail)
    return " ".join(part for part in parts if part)


def _percent(rate: float) -> str:
    return f"{100 * rate:.2f} %"


def _words(tokens: Sequence[Token]) -> str:
    return " ".join(token.written for token in tokens)


def _compared(tokens: Sequence[Token]) -> str:
    return " ".join(token.compared for token in tokens)


def _paragraphs(passages: Sequence[Passage]) -> Iterator[list[tuple[Kind, str, str]]]:
    """Yield the whole text as pieces (kind, words of A, words of B), some words at a time."""
    paragraph: list[tuple[Kind, str, str]] = []
    num_words = 0
    for passage in _short(passages):
        paragraph.append((passage.kind, _words(passage.before), _words(passage.after)))
        num_words += max(len(passage.before), len(passage.after))
        if num_words >= PARAGRAPH_WORDS:
            yield paragraph
            paragraph, num_words = [], 0
    if paragraph:
        yield paragraph


def _short(passages: Sequence[Passage]) -> Iterator[Passage]:
    for passage in passages:
        longest = max(len(passage.before), len(passage.after))
        for start in range(0, longest, PARAGRAPH_WORDS):
            part = slice(start, start + PARAGRAPH_WORDS)
            yield Passage(passage.kind, passage.before[part], passage.after[part])


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    source = (package_files("longform.compare") / "comparison.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(source)
