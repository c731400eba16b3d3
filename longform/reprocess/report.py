"""The report of a bulk run: what became of each file, why, and what it cost."""

from typing import Literal

from longform.params import FrozenModel
from longform.reprocess.request import Select

Outcome = Literal[
    "transcribed", "damaged", "incomplete", "failed", "would_transcribe", "skipped", "not_reached"
]

# In the order in which people want to read them.
OUTCOMES: tuple[Outcome, ...] = (
    "failed",
    "incomplete",
    "not_reached",
    "damaged",
    "transcribed",
    "would_transcribe",
    "skipped",
)
FAILURES = frozenset({"failed", "incomplete"})


class Cost(FrozenModel):
    """What a file, or all of them, took. `gpu_sec` is the time in which the engine worked."""

    audio_sec: float = 0.0
    gpu_sec: float = 0.0
    num_chunks: int = 0
    num_cached_chunks: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            audio_sec=self.audio_sec + other.audio_sec,
            gpu_sec=self.gpu_sec + other.gpu_sec,
            num_chunks=self.num_chunks + other.num_chunks,
            num_cached_chunks=self.num_cached_chunks + other.num_cached_chunks,
        )


class TextChange(FrozenModel):
    """How a new transcript differs from the one that it replaced, counted in words.

    `word_error_rate` takes the old text as the reference; None where that was empty.
    """

    word_error_rate: float | None
    num_words_before: int
    num_replaced: int
    num_removed: int
    num_added: int
    page: str | None = None  # the comparison, where one was asked for


class FileRecord(FrozenModel):
    """What became of one file. `source` and `place` never carry a secret.

    `place` is where its transcript lies or would lie, without a suffix; `known_sec` is how long
    it is, where that was known without opening it.
    """

    number: int  # from 1, in the order of the lists
    source: str
    place: str = ""
    outcome: Outcome
    reason: str
    error: str | None = None  # the kind of error, as in longform.errors
    known_sec: float | None = None
    cost: Cost = Cost()
    processing_sec: float = 0.0
    files: tuple[str, ...] = ()
    change: TextChange | None = None


class BatchReport(FrozenModel):
    """The report of a bulk run; `files` are in the order of the lists."""

    select: Select
    dry_run: bool
    files: tuple[FileRecord, ...]
    cost: Cost
    started_at: str  # ISO 8601, UTC
    duration_sec: float
    run_url: str = ""
    stopped: str = ""  # why the run ended before its files did
    address: str = ""  # of this report as a JSON file

    def count(self, *outcomes: Outcome) -> int:
        """Return how many files came to one of these outcomes."""
        return sum(record.outcome in outcomes for record in self.files)

    @property
    def num_failed(self) -> int:
        """Files without a whole transcript, though one was tried."""
        return self.count("failed", "incomplete")

    @property
    def num_tried(self) -> int:
        """Files that a transcript was tried of."""
        return self.num_failed + self.count("transcribed", "damaged")
