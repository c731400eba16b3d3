"""What became of the macro chunks of a recording: what its transcript is joined from."""

from longform.chunking.macro import Split
from longform.transcript.channels import ChannelChunks
from longform.transcript.join import FailedSpan
from longform.transcript.segment import ChunkResult


class ChunkOutcomes:
    """What became of every macro chunk of a recording.

    A plain class: Prefect looks for futures in every field of dataclasses and models that a task
    is given, and this holds all words of a recording.

    Args:
        channels: results and failures, channel after channel.
        errors: why chunks failed, in the order in which they did.
        cached_keys: of the results that earlier runs have left.
        splits: the boundaries between the chunks, channel after channel.
        engine_sec: what the chunks took that were not cached.
        dashboard_url: of the cluster that worked on them; empty where none was needed.
    """

    def __init__(
        self,
        channels: tuple[ChannelChunks, ...],
        errors: tuple[BaseException, ...] = (),
        *,
        cached_keys: frozenset[str] = frozenset(),
        splits: tuple[Split, ...] = (),
        engine_sec: float = 0.0,
        dashboard_url: str = "",
    ) -> None:
        self.channels = channels
        self.errors = errors
        self.cached_keys = cached_keys
        self.splits = splits
        self.engine_sec = engine_sec
        self.dashboard_url = dashboard_url

    @property
    def num_cached(self) -> int:
        """How many results came from the cache."""
        return len(self.cached_keys)

    @property
    def results(self) -> tuple[ChunkResult, ...]:
        """The results of all channels."""
        return tuple(result for channel in self.channels for result in channel.results)

    @property
    def fresh(self) -> tuple[ChunkResult, ...]:
        """The results that this run has worked for."""
        return tuple(result for result in self.results if result.key not in self.cached_keys)

    @property
    def failures(self) -> tuple[FailedSpan, ...]:
        """The failures of all channels."""
        return tuple(failure for channel in self.channels for failure in channel.failures)
