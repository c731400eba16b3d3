"""Turns: who speaks when, and the protocol of whatever finds that out."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from longform.audio import Span
from longform.params import DiarizeParams, FrozenModel


class Turn(FrozenModel):
    """A stretch in which one speaker speaks. Turns of different speakers may overlap."""

    start_sample: int
    end_sample: int
    speaker: str  # SPEAKER_00, SPEAKER_01, ...

    @property
    def span(self) -> Span:
        """The stretch as a span."""
        return Span(self.start_sample, self.end_sample)


class SpeakerTurns(FrozenModel):
    """All turns of a recording, by start."""

    turns: tuple[Turn, ...]


class Diarizer(Protocol):
    """Finds out who speaks when, over a whole recording at once, so that labels hold for it."""

    @property
    def identity(self) -> str:
        """Everything beside the parameters that decides on the turns: versions and weights."""
        ...

    async def diarize(
        self, audio: Path, num_samples: int, params: DiarizeParams
    ) -> list[tuple[Span, int]]:
        """Return stretches with the number of their speaker, in any order.

        Args:
            audio: a file of s16le samples, 16 kHz mono.
            num_samples: how many it holds.
            params: how many speakers there are, as far as that is known.

        Raises:
            EngineUnavailableError: it failed in a way that another attempt may not.
        """
        ...


def labelled(stretches: Iterable[tuple[Span, int]]) -> SpeakerTurns:
    """Name speakers by the order in which they are heard first, and put turns in order."""
    names: dict[int, str] = {}
    turns = []
    for span, speaker in sorted(stretches):
        name = names.setdefault(speaker, f"SPEAKER_{len(names):02}")
        turns.append(Turn(start_sample=span.start_sample, end_sample=span.end_sample, speaker=name))
    return SpeakerTurns(turns=tuple(turns))
