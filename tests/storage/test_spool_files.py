"""The work store: what is written is read, whole or not at all, and nothing stays behind."""

import asyncio
import threading
from collections import namedtuple
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longform.audio import Pcm
from longform.errors import InvariantError, OutputError, SourceUnavailableError
from longform.media import spool
from longform.media.spool import WorkFile, WorkLimits, WorkRun, open_run, read_blocks
from longform.storage.folder import open_folder
from longform.storage.local_folder import LocalFolder
from tests.support.s3_server import BUCKET

LIMITS = WorkLimits(max_bytes=2**30, reserve_bytes=0)


def noise(num_samples: int) -> Pcm:
    """Random int16 samples."""
    return np.random.default_rng(1).integers(-32_768, 32_768, num_samples).astype("<i2")


async def write(run: WorkRun, name: str, blocks: Iterable[Pcm]) -> WorkFile:
    """Write a file block by block."""
    writer = run.writer(name)
    for block in blocks:
        await writer.write(block)
    return await writer.close()


async def read(file: WorkFile) -> Pcm:
    """Read a file to its end."""
    return np.concatenate([noise(0), *[block async for block in read_blocks(file)]])


def names(folder: Path) -> list[str]:
    """Return what lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(params=["folder", "file", "memory", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store in a folder, and under fsspec URLs."""
    if request.param == "s3":
        request.getfixturevalue("s3")
        return f"s3://{BUCKET}/{tmp_path.name}"
    roots = {
        "folder": str(tmp_path / "work"),
        "file": f"file://{tmp_path}/work",
        "memory": f"memory://work-{tmp_path.name}",
    }
    return roots[request.param]


@pytest.mark.parametrize("num_samples", [0, 1, 65_536, 200_001, 2_100_000])
async def test_what_is_written_is_read(root: str, num_samples: int) -> None:
    """Audio comes back sample by sample, in blocks of bounded size, from another process too."""
    pcm = noise(num_samples)
    async with open_run(root, LIMITS) as run:
        written = await write(run, "chunk-0.s16le", np.array_split(pcm, 3))
        travelled = WorkFile.model_validate_json(written.model_dump_json())
        blocks = [block async for block in read_blocks(travelled)]
    assert all(0 < len(block) <= 65_536 and block.dtype == np.int16 for block in blocks)
    assert np.array_equal(np.concatenate([noise(0), *blocks]), pcm)


async def test_a_run_takes_its_files_with_it(root: str) -> None:
    """One file goes when it is discarded, all go with the run; other runs keep theirs."""
    async with open_run(root, LIMITS) as other:
        kept = await write(other, "a", [noise(10)])
        async with open_run(root, LIMITS) as run:
            first, second = [await write(run, name, [noise(10)]) for name in ("a", "b")]
            await run.discard(first)
            await run.discard(first)
            with pytest.raises(SourceUnavailableError):
                await read(first)
            assert len(await read(second)) == 10
        with pytest.raises(SourceUnavailableError):
            await read(second)
        assert len(await read(kept)) == 10
        assert open_folder(root).names() == [other.name]
    assert open_folder(root).names() == []


@pytest.mark.parametrize("ending", [ValueError, asyncio.CancelledError, KeyboardInterrupt])
async def test_however_a_run_ends_nothing_stays(root: str, ending: type[BaseException]) -> None:
    """Errors and interrupts in the middle of a file leave neither folder nor lease."""

    async def a_run() -> None:
        async with open_run(root, LIMITS) as run:
            await write(run, "a", [noise(10)])
            await run.writer("b").write(noise(100_000))
            raise ending

    with pytest.raises(ending):
        await a_run()
    assert open_folder(root).sizes() == {}
    assert open_folder(root).names() == []


async def test_cancelling_in_the_middle_of_a_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that goes on in its thread after the run was cancelled does not bring it back."""
    writing, go_on = threading.Event(), threading.Event()
    append = LocalFolder.append

    def slow(folder: LocalFolder, name: str, content: bytes) -> None:
        writing.set()
        assert go_on.wait(60)
        append(folder, name, content)

    monkeypatch.setattr(LocalFolder, "append", slow)

    async def a_run() -> None:
        async with open_run(str(tmp_path), LIMITS) as run:
            writers = [run.writer(name) for name in ("a", "b")]
            await asyncio.gather(*(writer.write(noise(10)) for writer in writers))

    running = asyncio.create_task(a_run())
    assert await asyncio.to_thread(writing.wait, 60)
    running.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (lambda content: content[:-1], "not complete"),
        (lambda content: b"", "not complete|cannot be read"),
        (lambda content: content[:999] + bytes([content[999] ^ 1]) + content[1000:], "damaged"),
    ],
)
async def test_a_damaged_file_is_noticed(
    root: str, damage: Callable[[bytes], bytes], match: str
) -> None:
    """A file that is short, or has one bit flipped, is never taken for its audio."""
    async with open_run(root, LIMITS) as run:
        written = await write(run, "a", [noise(1_000)])
        folder = open_folder(root)
        content = folder.read(f"{run.name}/a")
        assert content is not None
        folder.write(f"{run.name}/a", damage(content))
        with pytest.raises(SourceUnavailableError, match=match):
            await read(written)


async def test_nothing_unfinished_has_the_name(tmp_path: Path) -> None:
    """Until it is closed, a file does not exist under its name."""
    async with open_run(str(tmp_path), LIMITS) as run:
        writer = run.writer("a")
        await writer.write(noise(100_000))
        assert not (tmp_path / run.name / "a").exists()
        await writer.close()
        assert (tmp_path / run.name / "a").stat().st_size == 200_000


async def test_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    """A store in the place of a file is one line that says what to do."""
    (tmp_path / "work").write_text("in the way")
    with pytest.raises(OutputError, match="LONGFORM_WORK_STORE"):
        async with open_run(str(tmp_path / "work"), LIMITS) as run:
            await write(run, "a", [noise(10)])
    assert names(tmp_path) == ["work"]


async def test_a_run_takes_no_more_than_it_may(root: str) -> None:
    """Bytes count while they lie there: what was discarded makes room, one byte more fails."""
    async with open_run(root, LIMITS.model_copy(update={"max_bytes": 2_000})) as run:
        first = await write(run, "a", [noise(600)])
        await run.discard(first)
        await write(run, "b", [noise(400), noise(600)])
        assert run.peak_bytes == 2_000
        with pytest.raises(OutputError, match="LONGFORM_WORK_MAX_BYTES"):
            await run.writer("c").write(noise(1))


async def test_a_disk_that_fills_up_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reserve is left alone: the write that would touch it fails, and nothing stays."""
    usage = namedtuple("usage", "free")
    disk = {"free": 10_000}
    monkeypatch.setattr(
        "longform.storage.local_folder.shutil.disk_usage", lambda _: usage(disk["free"])
    )
    async with open_run(str(tmp_path), WorkLimits(max_bytes=10**9, reserve_bytes=5_000)) as run:
        writer = run.writer("a")
        await writer.write(noise(2_000))
        disk["free"] = 6_000
        with pytest.raises(OutputError, match=r"LONGFORM_WORK_RESERVE_BYTES.*make room"):
            await writer.write(noise(2_000))
    assert names(tmp_path) == []


async def test_a_store_that_fails_at_the_end(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that cannot remove its folder does not fail for that; a later run removes it."""
    kind = type(open_folder(root))
    remove = kind.remove
    with monkeypatch.context() as patch:
        async with open_run(root, LIMITS) as run:
            await write(run, "a", [noise(10)])

            def refuse(folder: Any, name: str) -> None:
                # Its folder alone: beside it, killed runs are looked for, with files of their own.
                if name == run.name:
                    raise OutputError("the store is away")
                remove(folder, name)

            patch.setattr(kind, "remove", refuse)
    assert open_folder(root).names() == [run.name]
    async with open_run(root, LIMITS):
        pass
    assert open_folder(root).names() == []


@pytest.mark.parametrize("name", ["", "..", "../a", "a/b", "/a", ".a", "a\0", "a\n", "x" * 200])
async def test_names_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    """A name that is not one plain path component is a bug of the caller."""
    with pytest.raises(InvariantError):
        spool.WorkRun(str(tmp_path), LIMITS).writer(name)
    with pytest.raises(InvariantError):
        await read(WorkFile(root=str(tmp_path), run=name, name="a", num_samples=1, crc32=0))
    with pytest.raises(InvariantError):
        await read(WorkFile(root=str(tmp_path), run="run-1", name=name, num_samples=1, crc32=0))
