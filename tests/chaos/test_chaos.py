"""A sample of `make chaos`: processes killed for real, jobs resumed, transcripts compared."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.prefect_api import ServerAddress
from tests.chaos.arena import Arena, KillPoint, Undisturbed, open_arena
from tests.chaos.chaos_recordings import CHUNK_SEC, recordings

pytestmark = pytest.mark.server

POINTS = (
    KillPoint("flow", 6, 3),
    KillPoint("flow", 12, 18),
    KillPoint("worker", 4, 7),
    KillPoint("worker", 9, 11),
)


@pytest.fixture(scope="module")
def arena(
    tmp_path_factory: pytest.TempPathFactory, prefect_server: ServerAddress
) -> Iterator[Arena]:
    """Start a cluster for a recording that is read in one pass, each chunk a subflow."""
    base = tmp_path_factory.mktemp("chaos")
    _, one_pass = recordings(base)
    with open_arena(base / "jobs", one_pass, CHUNK_SEC, prefect_server, subflows=True) as arena:
        yield arena


@pytest.fixture(scope="module")
def whole(arena: Arena) -> Undisturbed:
    """Run the job in peace."""
    return arena.undisturbed()


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_a_job_survives(arena: Arena, whole: Undisturbed, point: KillPoint, tmp_path: Path) -> None:
    """The same bytes, at most one chunk computed again, nothing left behind, no run open."""
    verdict = arena.kill(point, whole)
    assert verdict.was_killed
    assert verdict.is_good, verdict
