"""A slice of the fuzzing campaign, and that the campaign notices what it looks for."""

from pathlib import Path

import pytest

from longform.media.decode.ffmpeg_args import find_ffmpeg
from tests.fuzz import campaign
from tests.support.media_worker import End, MediaWorker
from tests.support.odd_media import Kitchen

SLICE = 60


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Kitchen:
    """Where the recordings are made."""
    return Kitchen(tmp_path_factory.mktemp("kitchen"), find_ffmpeg(None))


def test_a_slice_ends_well(kitchen: Kitchen, tmp_path: Path) -> None:
    """Sixty mutants: no hang, no crash, no unnamed error, no child left, no large process."""
    report = campaign.run(kitchen, SLICE, seed=2, keep=tmp_path / "bad")
    assert report.ends.total() == SLICE
    assert report.bad == []
    assert not (tmp_path / "bad").exists()
    assert {container for container, _ in report.ends} == set(campaign.CONTAINERS)


def test_mutants_can_be_made_again(kitchen: Kitchen) -> None:
    """Seed and number name a mutant; other seeds and numbers give others."""
    sounds = {name: kitchen.sound[name] for name in campaign.CONTAINERS}
    first = campaign.mutant_number(5, 1, sounds)
    assert first == campaign.mutant_number(5, 1, sounds)
    assert first[1] != campaign.mutant_number(5, 2, sounds)[1]
    mutants = {campaign.mutant_number(index, 1, sounds)[1] for index in range(300)}
    assert len(mutants) > 290
    assert mutants.isdisjoint(sounds.values())


@pytest.mark.parametrize(
    ("end", "word"),
    [
        (End("decoded"), ""),
        (End("NotMediaError", "a is no recording"), ""),
        (End("NotMediaError", "two\nlines"), "several lines"),
        (End("ValueError", "! ValueError('x')"), "ValueError"),
        (End("hang", "exit code -9"), "hang"),
        (End("crash", "exit code -11"), "crash"),
        (End("decoded", children=["ffmpeg"]), "ffmpeg"),
        (End("decoded", peak_child_bytes=2 * 10**9), "2000 MB"),
    ],
)
def test_what_counts_as_bad(end: End, word: str) -> None:
    """Audio and named errors are good ends; everything else is told by its name."""
    wrong = campaign.badness(end)
    assert bool(wrong) == bool(word)
    assert word in wrong


def test_a_worker_survives_what_it_starts(kitchen: Kitchen, tmp_path: Path) -> None:
    """A process that is stopped counts as a hang, and the next recording is read all the same."""
    path = tmp_path / "a.wav"
    path.write_bytes(kitchen.sound["wav"])
    worker = MediaWorker(limit_sec=30.0)
    try:
        assert worker.end_of(str(path)).outcome == "decoded"
        worker.limit_sec = 0.01
        assert worker.end_of(str(path)).outcome == "hang"
        worker.limit_sec = 30.0
        worker.kill()
        assert worker.end_of(str(path)).outcome == "decoded"
    finally:
        worker.close()
