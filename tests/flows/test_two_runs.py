"""Two runs of the same recording at once: each chunk is computed once."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from flows.transcribe import transcribe
from longform.params import TranscribeParams
from longform.transcript.output import TranscribeOutput
from tests.conftest import WELCOME
from tests.flows.conftest import Stage

pytestmark = pytest.mark.server

PARAMS = TranscribeParams(macro_chunk_size_sec=30)


async def test_each_chunk_is_computed_once(stage: Stage, tmp_path: Path) -> None:
    """Both runs have the whole transcript; the engine has heard every micro chunk once."""
    stage.direct(sleep_sec=0.5)

    async def run(name: str) -> TranscribeOutput:
        return await transcribe(str(WELCOME), PARAMS, output_dir=str(tmp_path / name))

    first, second = await asyncio.gather(run("a"), run("b"))
    heard = Counter(start for batch in stage.engine_calls for start in batch)
    assert len(heard) > 3
    assert set(heard.values()) == {1}
    assert [each.text for each in first.segments] == [each.text for each in second.segments]
    assert not list((tmp_path / "chunks").rglob("*.claim"))
