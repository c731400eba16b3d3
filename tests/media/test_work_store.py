"""The work store: what is written is read, whole or not at all."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from longform.chunking.micro_chunk import Pcm
from longform.errors import InvariantError, OutputError, SourceUnavailableError
from longform.media.work_store import WorkFile, WorkRun, WorkStore, read_blocks, remove


def noise(num_samples: int) -> Pcm:
    """Random int16 samples."""
    return np.random.default_rng(1).integers(-32_768, 32_768, num_samples).astype("<i2")


async def write(run: WorkRun, name: str, blocks: Iterable[Pcm]) -> WorkFile:
    """Write a file block by block."""
    writer = run.writer(name)
    for block in blocks:
        await writer.write(block)
    return await writer.close()


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> WorkStore:
    """A store in a folder, and one under an fsspec URL."""
    roots = {"folder": str(tmp_path / "work"), "memory": f"memory://work-{tmp_path.name}"}
    return WorkStore(root=roots[request.param])


@pytest.mark.parametrize("num_samples", [0, 1, 65_536, 200_001])
async def test_what_is_written_is_read(store: WorkStore, num_samples: int) -> None:
    """Audio comes back sample by sample, in blocks of bounded size, from another process too."""
    pcm = noise(num_samples)
    written = await write(store.create_run(), "chunk-0.s16le", np.array_split(pcm, 3))
    travelled = WorkFile.model_validate_json(written.model_dump_json())
    blocks = [block async for block in read_blocks(travelled)]
    assert all(0 < len(block) <= 65_536 and block.dtype == np.int16 for block in blocks)
    assert np.array_equal(np.concatenate([noise(0), *blocks]), pcm)


async def test_removing(store: WorkStore) -> None:
    """One file, or the whole run, goes; removing twice is no error; other runs stay."""
    run, other = store.create_run(), store.create_run()
    first, second = [await write(run, name, [noise(10)]) for name in ("a", "b")]
    kept = await write(other, "a", [noise(10)])
    await remove(first)
    await remove(first)
    with pytest.raises(SourceUnavailableError):
        await anext(read_blocks(first))
    assert len(await anext(read_blocks(second))) == 10
    await run.remove()
    await run.remove()
    with pytest.raises(SourceUnavailableError):
        await anext(read_blocks(second))
    assert len(await anext(read_blocks(kept))) == 10


async def test_an_incomplete_file_is_noticed(tmp_path: Path) -> None:
    """A file that is shorter than it should be is never taken for its audio."""
    run = WorkStore(root=str(tmp_path)).create_run()
    written = await write(run, "a", [noise(1_000)])
    path = tmp_path / run.run / "a"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SourceUnavailableError, match="not complete"):
        await anext(read_blocks(written))


async def test_nothing_unfinished_has_the_name(tmp_path: Path) -> None:
    """Until it is closed, a file does not exist under its name."""
    run = WorkStore(root=str(tmp_path)).create_run()
    writer = run.writer("a")
    await writer.write(noise(100_000))
    assert not (tmp_path / run.run / "a").exists()
    await writer.close()
    assert (tmp_path / run.run / "a").stat().st_size == 200_000


async def test_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    """A store in the place of a file is one line that says what to do."""
    (tmp_path / "work").write_text("in the way")
    with pytest.raises(OutputError, match="LONGFORM_WORK_STORE"):
        await write(WorkStore(root=str(tmp_path / "work")).create_run(), "a", [noise(10)])


@pytest.mark.parametrize("name", ["", "..", "../a", "a/b", "/a", ".a", "a\0", "a\n", "x" * 200])
async def test_names_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    """A name that is not one plain path component is a bug of the caller."""
    run = WorkStore(root=str(tmp_path)).create_run()
    with pytest.raises(InvariantError):
        await write(run, name, [])
    with pytest.raises(InvariantError):
        await WorkRun(root=str(tmp_path), run=name).remove()
