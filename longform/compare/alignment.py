"""The alignment: the fewest words to put in, take out or replace (Levenshtein 1966)."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from longform.compare.reading import Text, Utterance

Kind = Literal["equal", "replaced", "missing", "added"]

# Scripts written without spaces: there each character counts as a word.
_UNSPACED = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
)
_PARTS = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")
_APOSTROPHES = str.maketrans("", "", "'’ʼ`")  # noqa: RUF001
_KINDS: dict[str, Kind] = {
    "equal": "equal",
    "replace": "replaced",
    "delete": "missing",
    "insert": "added",
}


@dataclass(frozen=True, slots=True)
class Token:
    """A word as it is written, as it is compared, and when it is said."""

    written: str
    compared: str
    start_sec: float | None


@dataclass(frozen=True, slots=True)
class Passage:
    """A run of words that are equal, or that differ in one way, in both texts."""

    kind: Kind
    before: tuple[Token, ...]
    after: tuple[Token, ...]

    @property
    def start_sec(self) -> float | None:
        """When it is said, as far as either text says so."""
        return next(
            (t.start_sec for t in (*self.after, *self.before) if t.start_sec is not None), None
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Text A (the reference) against text B, word by word."""

    before_name: str
    after_name: str
    passages: tuple[Passage, ...]
    num_words: int  # of A
    substitutions: int
    deletions: int
    insertions: int
    character_errors: int
    num_characters: int  # of A, without blanks

    @property
    def word_error_rate(self) -> float:
        """Errors per word of A; infinite where A is empty and B is not."""
        return _rate(self.substitutions + self.deletions + self.insertions, self.num_words)

    @property
    def character_error_rate(self) -> float:
        """Errors per character of A, blanks left out."""
        return _rate(self.character_errors, self.num_characters)

    @property
    def changes(self) -> tuple[Passage, ...]:
        """The passages that differ."""
        return tuple(passage for passage in self.passages if passage.kind != "equal")


def compare(before: Text, after: Text) -> Comparison:
    """Align two texts. Case, punctuation and apostrophes do not count."""
    from rapidfuzz.distance import Levenshtein

    a, b = _tokens(before), _tokens(after)
    steps = Levenshtein.opcodes([t.compared for t in a], [t.compared for t in b])
    passages = [
        Passage(
            _KINDS[step.tag], a[step.src_start : step.src_end], b[step.dest_start : step.dest_end]
        )
        for step in steps
    ]
    counts: Counter[str] = Counter()
    for passage in passages:
        counts[passage.kind] += max(len(passage.before), len(passage.after))
    characters = ["".join(token.compared for token in tokens) for tokens in (a, b)]
    return Comparison(
        before_name=before.name,
        after_name=after.name,
        passages=tuple(_joined(passages)),
        num_words=len(a),
        substitutions=counts["replaced"],
        deletions=counts["missing"],
        insertions=counts["added"],
        character_errors=Levenshtein.distance(*characters),
        num_characters=len(characters[0]),
    )


def _rate(errors: int, total: int) -> float:
    return errors / total if total else float("inf") if errors else 0.0


def _tokens(text: Text) -> tuple[Token, ...]:
    return tuple(token for utterance in text.utterances for token in _split(utterance))


def _split(utterance: Utterance) -> Iterator[Token]:
    for part in _PARTS.finditer(unicodedata.normalize("NFKC", utterance.text)):
        compared = "".join(c for c in part[0].casefold().translate(_APOSTROPHES) if _counts(c))
        if compared:
            yield Token(part[0], compared, utterance.start_sec)


def _counts(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"


def _joined(passages: Sequence[Passage]) -> Iterator[Passage]:
    """Make one replacement of changes that touch: that is how people read them."""
    open_change: Passage | None = None
    for passage in passages:
        if passage.kind == "equal":
            if open_change is not None:
                yield open_change
            open_change = None
            yield passage
        elif open_change is None:
            open_change = passage
        else:
            open_change = Passage(
                "replaced", open_change.before + passage.before, open_change.after + passage.after
            )
    if open_change is not None:
        yield open_change
