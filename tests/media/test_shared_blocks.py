"""The store of blocks that processes share: whole or absent, claimed once, gone at the end."""

import logging
import multiprocessing
import os
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from longform.media import shared_blocks
from longform.media.shared_blocks import Block, BlockStore, discard_blocks, open_block_store

BLOCK = Block(b"before", bytes(range(256)) * 10)


@pytest.fixture
def store(tmp_path: Path) -> BlockStore:
    """A store with nothing in it."""
    return BlockStore(tmp_path, "ab12")


def test_what_was_put_is_found_by_others(store: BlockStore, tmp_path: Path) -> None:
    """A record comes back as it was, through another store of the same folder as well."""
    assert store.get("0.block") is None
    store.put("0.block", BLOCK)
    store.put("1.block", Block(b"", b""))
    other = BlockStore(tmp_path, "ab12")
    assert other.get("0.block") == BLOCK
    assert other.get("1.block") == Block(b"", b"")
    assert BlockStore(tmp_path, "cd34").get("0.block") is None


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_record_is_none(store: BlockStore, tmp_path: Path, damage: str) -> None:
    """A flipped byte or a missing end makes a record absent, and it is removed."""
    store.put("0.block", BLOCK)
    path = tmp_path / "ab12" / "0.block"
    record = bytearray(path.read_bytes())
    record[1_000] ^= 1
    path.write_bytes({"flip": bytes(record), "cut": record[:-1], "empty": b""}[damage])
    assert store.get("0.block") is None
    assert not path.exists()


def _hold(root: Path, holding: Event, leave: Event) -> None:
    store = BlockStore(root, "ab12")
    assert store.claim(7)
    holding.set()
    leave.wait(60)
    os._exit(1)  # like a process that was killed: nothing is released


def test_a_claim_is_held_by_one_process_and_ends_with_it(tmp_path: Path) -> None:
    """While another process has a block's claim it is not given; once that died, it is."""
    context = multiprocessing.get_context("spawn")
    holding, leave = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(tmp_path, holding, leave))
    holder.start()
    assert holding.wait(60)
    store = BlockStore(tmp_path, "ab12")
    assert not store.claim(7)
    assert store.claim(8)
    leave.set()
    holder.join(60)
    assert store.claim(7)
    store.release(7)


def test_the_oldest_records_give_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit, over all sources, the oldest are removed and the newest kept."""
    monkeypatch.setattr(shared_blocks, "TRIM_INTERVAL", 1)
    first, second = BlockStore(tmp_path, "aa", 10_000), BlockStore(tmp_path, "bb", 10_000)
    for number in range(5):
        (first if number % 2 else second).put(f"{number}.block", BLOCK)
        for path in tmp_path.glob(f"*/{number}.block"):
            os.utime(path, (number, number))
    kept = sorted(path.name for path in tmp_path.glob("*/*.block"))
    assert kept == ["2.block", "3.block", "4.block"]


def test_leftovers_of_killed_runs_are_removed_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old folder that nobody has open goes; one in use, and a young one, stay."""
    abandoned, used = BlockStore(tmp_path, "aa"), BlockStore(tmp_path, "bb")
    abandoned.put("0.block", BLOCK)
    abandoned.close()
    BlockStore(tmp_path, "cc").close()
    long_ago = time.time() - 2 * shared_blocks.LEFTOVER_SEC
    for name in ("aa", "bb"):
        os.utime(tmp_path / name, (long_ago, long_ago))
    BlockStore(tmp_path, "dd")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bb", "cc", "dd"]
    used.close()


def test_it_is_removed_at_the_end(store: BlockStore, tmp_path: Path) -> None:
    """After the run nothing is left; a process that still has it open finds nothing and goes on."""
    store.put("0.block", BLOCK)
    discard_blocks(str(tmp_path), "ab12")
    assert list(tmp_path.iterdir()) == []
    assert store.get("0.block") is None
    store.put("0.block", BLOCK)
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_everybody_fetches(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No folder, no name, or one that cannot be made: no store, and in the last case a warning."""
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        assert open_block_store(None, "ab12") is None
        assert open_block_store(str(tmp_path), "") is None
        assert not caplog.records
        assert open_block_store(str(tmp_path / "file"), "ab12") is None
    assert "every process fetches for itself" in caplog.text
