"""A source that changed while it was read ends the run, whatever has been transcribed by then."""

from typing import cast

import pytest

from flows.recording import raise_if_changed
from longform.errors import ConnectionCutError, SourceReplacedError
from longform.pipeline.chunk_outcomes import ChunkOutcomes
from longform.transcript.channels import ChannelChunks
from longform.transcript.segment import ChunkResult

DONE = cast(ChunkResult, object())


def _outcomes(*errors: BaseException) -> ChunkOutcomes:
    channel = ChannelChunks(channel=None, results=(DONE,), failures=())
    return ChunkOutcomes(channels=(channel,), errors=errors)


def test_a_change_is_the_error_of_the_run() -> None:
    """Even after other failures, and with results at hand, the change is what is raised."""
    with pytest.raises(SourceReplacedError):
        raise_if_changed(_outcomes(ConnectionCutError("cut"), SourceReplacedError("changed")))


def test_other_failures_leave_the_transcript_to_be_written() -> None:
    """A chunk that failed in another way takes nothing away from the rest."""
    raise_if_changed(_outcomes(ConnectionCutError("cut")))
