"""Errors of a text against a reference: words, or characters where no spaces are written."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from itertools import islice

from longform.transcript.languages import writes_spaces

REPEAT_WORDS = 5  # a run of so many words that comes once too often is text said twice


@dataclass(frozen=True)
class Errors:
    """Errors of one text; `num_units` are the words (or characters) of its reference.

    `duplicates` are runs of five words that occur more often than in the reference, and more
    than once.
    """

    num_units: int
    substitutions: int
    deletions: int
    insertions: int
    duplicates: int

    @property
    def num_errors(self) -> int:
        """Substitutions, deletions and insertions."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors per unit of the reference; where it is empty, the units that were invented."""
        return self.num_errors / max(1, self.num_units)


def count_errors(reference: str, heard: str, language: str | None) -> Errors:
    """Compare two texts after Whisper's normaliser (English for English, basic for the rest)."""
    import jiwer

    expected, found = (units(text, language) for text in (reference, heard))
    duplicates = num_duplicates(expected, found)
    if not expected or not found:
        return Errors(len(expected), 0, len(expected), len(found), duplicates)
    aligned = jiwer.process_words(" ".join(expected), " ".join(found))
    return Errors(
        len(expected), aligned.substitutions, aligned.deletions, aligned.insertions, duplicates
    )


def units(text: str, language: str | None) -> list[str]:
    """Return the normalised words of a text; its characters where no spaces are written."""
    normalised = _normaliser(language)(text)
    if writes_spaces(language or "en"):
        return normalised.split()
    return [character for character in normalised if not character.isspace()]


def num_duplicates(expected: list[str], found: list[str]) -> int:
    """Count the runs of five that occur more often than expected, and more than once."""
    wanted = Counter(_runs(expected))
    return sum(max(0, n - max(1, wanted[run])) for run, n in Counter(_runs(found)).items())


def total(errors: Iterable[Errors]) -> Errors:
    """Return the sum of errors over recordings."""
    rows = [(e.num_units, e.substitutions, e.deletions, e.insertions, e.duplicates) for e in errors]
    return (
        Errors(*(sum(column) for column in zip(*rows, strict=True))) if rows else Errors(*[0] * 5)
    )


def _runs(words: list[str]) -> Iterable[tuple[str, ...]]:
    return zip(*(islice(words, first, None) for first in range(REPEAT_WORDS)), strict=False)


@cache
def _normaliser(language: str | None) -> Callable[[str], str]:
    from whisper_normalizer.basic import BasicTextNormalizer
    from whisper_normalizer.english import EnglishTextNormalizer

    normaliser: Callable[[str], str] = (
        EnglishTextNormalizer() if language == "en" else BasicTextNormalizer()
    )
    return normaliser
