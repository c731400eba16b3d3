"""Audio in transit: bounded, checked, and there for as long as a worker may ask for it."""

import subprocess
from pathlib import Path

import pytest

from flows.in_flight import WINDOW_PER_SLOT
from flows.transcribe import transcribe
from longform.audio import PCM_BYTES_PER_SAMPLE, to_samples
from longform.errors import IncompleteTranscriptError, OutputError
from longform.media.decode.ffmpeg_args import find_ffmpeg
from longform.media.spool import PcmWriter, WorkFile, WorkRun
from longform.params import TranscribeParams
from longform.settings import Settings
from longform.storage import local_folder
from longform.storage.folder import open_folder
from longform.storage.local_folder import LocalFolder
from longform.transcript.output import TranscribeOutput
from tests.conftest import WELCOME
from tests.flows.conftest import Stage

pytestmark = pytest.mark.server

PARAMS = TranscribeParams(macro_chunk_size_sec=20, split_search_sec=2)
LONGEST_SEC = 24  # a macro chunk and both its searches


@pytest.fixture
def matroska(tmp_path: Path) -> Path:
    """Return five minutes in a container that must be read from the start."""
    path = tmp_path / "talk.mkv"
    repeat = ["-stream_loop", "1", "-i", WELCOME, "-c:a", "flac"]
    subprocess.run([find_ffmpeg(None), "-v", "error", *repeat, path], check=True)
    return path


async def run(media: Path, out: Path) -> TranscribeOutput:
    """Transcribe without the cache."""
    return await transcribe(
        str(media), PARAMS, output_dir=str(out), output_formats=("txt",), use_cache=False
    )


def texts(output: TranscribeOutput) -> list[tuple[float, str]]:
    """Return what must be equal where two transcripts are."""
    return [(segment.start_time_sec, segment.text) for segment in output.segments]


async def test_audio_in_transit_is_bounded(
    stage: Stage, tmp_path: Path, matroska: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decoder waits for an engine that is slower: a window of chunks lies there at most."""
    runs: list[WorkRun] = []
    closing = WorkRun.close

    async def close(spool: WorkRun) -> None:
        runs.append(spool)
        await closing(spool)

    monkeypatch.setattr(WorkRun, "close", close)
    stage.direct(sleep_sec=0.05)
    await run(matroska, tmp_path / "out")
    window = Settings().slots_per_worker * WINDOW_PER_SLOT
    chunk_bytes = to_samples(LONGEST_SEC) * PCM_BYTES_PER_SAMPLE
    whole_bytes = to_samples(2 * 135) * PCM_BYTES_PER_SAMPLE
    [spool] = runs
    assert chunk_bytes < spool.peak_bytes <= window * chunk_bytes < whole_bytes


async def test_a_worker_that_dies_finds_its_audio_again(
    stage: Stage, tmp_path: Path, matroska: Path
) -> None:
    """A chunk whose worker was killed is run again from the same file, with the same text."""
    undisturbed = await run(matroska, tmp_path / "a")
    stage.direct(die_first=1)
    disturbed = await run(matroska, tmp_path / "b")
    assert (stage.home / "attempts" / "death-0").exists()
    assert texts(disturbed) == texts(undisturbed)
    assert open_folder(str(tmp_path / "work")).names() == []


@pytest.mark.parametrize(
    "damage",
    [
        "flipped",
        pytest.param("short", marks=pytest.mark.full),
        pytest.param("gone", marks=pytest.mark.full),
    ],
)
async def test_damaged_audio_never_becomes_text(
    stage: Stage, tmp_path: Path, matroska: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    """A spooled file that was damaged fails its chunk; the others have the right text."""
    closing = PcmWriter.close

    async def close(writer: PcmWriter) -> WorkFile:
        file = await closing(writer)
        if file.name == "000002.s16":
            path = Path(file.root) / file.run / file.name
            content = path.read_bytes()
            if damage == "gone":
                path.unlink()
            elif damage == "short":
                path.write_bytes(content[:-2])
            else:
                path.write_bytes(content[:5_000] + bytes([content[5_000] ^ 8]) + content[5_001:])
        return file

    undisturbed = await run(matroska, tmp_path / "a")
    monkeypatch.setattr(PcmWriter, "close", close)
    with pytest.raises(IncompleteTranscriptError, match=r"000002\.s16 in the work store") as raised:
        await run(matroska, tmp_path / "b")
    partial = raised.value.output
    assert isinstance(partial, TranscribeOutput)
    [gap] = [part for part in partial.coverage if part.kind == "failed"]
    start_sec, end_sec = gap.start_sample / 16_000, gap.end_sample / 16_000
    outside = [
        (start, text) for start, text in texts(undisturbed) if not start_sec <= start < end_sec
    ]
    assert texts(partial) == outside


class FullDisk:
    """A disk that takes a number of bytes, as `OSError` tells it."""

    def __init__(self, room_bytes: int) -> None:
        self._room_bytes = room_bytes
        self._append = LocalFolder.append

    def append(self, folder: LocalFolder, name: str, content: bytes) -> None:
        """Write while there is room."""
        self._room_bytes -= len(content)
        with local_folder._as_output_error(folder.folder / name):
            if self._room_bytes < 0:
                raise OSError(28, "No space left on device")
        self._append(folder, name, content)


async def test_a_full_disk_ends_the_run_cleanly(
    stage: Stage, tmp_path: Path, matroska: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run fails with one line that says what to do, and leaves nothing in the store."""
    disk = FullDisk(2_000_000)
    monkeypatch.setattr(LocalFolder, "append", lambda *given: disk.append(*given))
    with pytest.raises(OutputError, match=r"the disk is full.*LONGFORM_WORK_STORE"):
        await run(matroska, tmp_path / "out")
    assert open_folder(str(tmp_path / "work")).names() == []


@pytest.mark.parametrize(
    ("variable", "value"),
    [("LONGFORM_WORK_RESERVE_BYTES", str(2**60)), ("LONGFORM_WORK_MAX_BYTES", "100000")],
)
async def test_the_limits_of_the_operator_hold(
    stage: Stage,
    tmp_path: Path,
    matroska: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
) -> None:
    """A run that would exceed them fails, and names the setting."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(OutputError, match=variable):
        await run(matroska, tmp_path / "out")
    assert open_folder(str(tmp_path / "work")).names() == []
