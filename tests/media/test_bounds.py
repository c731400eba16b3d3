"""Limits of bytes and duration: what the operator sets holds, to the byte and the sample."""

import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from pydantic import ValidationError

from longform.audio import Pcm, Span
from longform.errors import SourceTooLargeError
from longform.media.decode.extract import extract_all, extract_window
from longform.media.model import source_policy
from longform.media.sources.open import open_source
from longform.net.policy import SourcePolicy
from longform.params import TranscribeParams
from longform.pipeline.planning import make_plan, open_recording
from longform.settings import Settings
from tests.support.range_server import RangeServer
from tests.support.wav_file import tone, wav

LIMIT_SEC = 2
LIMIT_SAMPLES = LIMIT_SEC * 16_000
LIMIT_BYTES = 100_000


def limited(policy: SourcePolicy, **limits: float) -> SourcePolicy:
    """Return the patient policy of these tests with other limits."""
    return policy.model_copy(update=limits)


async def count(blocks: AsyncGenerator[Pcm, None]) -> int:
    """Return how many samples come."""
    return sum([len(block) async for block in blocks])


def test_the_operator_sets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each limit comes from its LONGFORM_* variable; by default a day and 64 GiB."""
    limits = ("max_bytes", "max_download_bytes", "max_duration_sec")
    default, own = source_policy(Settings()), SourcePolicy()
    assert [getattr(default, name) for name in limits] == [2**36, 2**33, 86_400]
    assert [getattr(own, name) for name in limits] == [2**36, 2**33, 86_400]
    for name, value in (("BYTES", 1), ("DOWNLOAD_BYTES", 2), ("DURATION_SEC", 3)):
        monkeypatch.setenv(f"LONGFORM_MAX_{name}", str(value))
    policy = source_policy(Settings())
    assert (policy.max_bytes, policy.max_download_bytes, policy.max_duration_sec) == (1, 2, 3)


@pytest.mark.parametrize("name", ["MAX_BYTES", "MAX_DOWNLOAD_BYTES", "MAX_DURATION_SEC"])
@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "", "many"])
def test_limits_that_are_none(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """No value turns a limit off by accident."""
    monkeypatch.setenv(f"LONGFORM_{name}", value)
    with pytest.raises(ValidationError):
        Settings()


@pytest.mark.parametrize("remote", [False, True])
@pytest.mark.parametrize("more", [-1, 0, 1])
async def test_bytes(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path, more: int, remote: bool
) -> None:
    """A file and a server's content of the limit are opened; one byte more is refused unread."""
    content = bytes(LIMIT_BYTES + more)
    (tmp_path / "a.wav").write_bytes(content)
    url = server.add(content) if remote else str(tmp_path / "a.wav")
    opening = open_source(url, limited(policy, max_bytes=LIMIT_BYTES), tmp_path)
    if more <= 0:
        assert (await opening).length_bytes == LIMIT_BYTES + more
        return
    with pytest.raises(SourceTooLargeError, match=f"at most {LIMIT_BYTES} "):
        await opening


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("more", [-1, 0, 1])
async def test_bytes_on_disk(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path, more: int, chunked: bool
) -> None:
    """What must be downloaded whole has a limit of its own, said or unsaid by the server."""
    server.habits.ranges, server.habits.chunked = False, chunked
    url = server.add(bytes(LIMIT_BYTES + more))
    opening = open_source(url, limited(policy, max_download_bytes=LIMIT_BYTES), tmp_path)
    if more <= 0:
        assert (await opening).length_bytes == LIMIT_BYTES + more
        return
    with pytest.raises(SourceTooLargeError, match=f" {LIMIT_BYTES} "):
        await opening
    assert os.listdir(tmp_path) == []  # noqa: PTH208  (one quick call)


@pytest.mark.parametrize("more", [-1, 0, 1])
async def test_duration_that_the_container_tells(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, more: int
) -> None:
    """A windowed recording of the limit is planned; one sample more is refused when probed."""
    monkeypatch.setenv("LONGFORM_MAX_DURATION_SEC", str(LIMIT_SEC))
    (tmp_path / "a.wav").write_bytes(wav(tone(LIMIT_SAMPLES + more)))
    opening = open_recording(str(tmp_path / "a.wav"), Settings(), tmp_path)
    if more > 0:
        with pytest.raises(SourceTooLargeError, match="may be opened"):
            await opening
        return
    recording = await opening
    assert recording.media.access == "windowed"
    plan = await make_plan(recording, TranscribeParams())
    assert plan.total_samples == LIMIT_SAMPLES + more
    window = Span(0, LIMIT_SAMPLES + more)
    assert await count(extract_window(recording, window)) == window.num_samples


@pytest.mark.parametrize("more", [-1, 0, 1])
async def test_duration_that_shows_while_it_is_decoded(
    policy: SourcePolicy, tmp_path: Path, more: int
) -> None:
    """One pass ends with the first sample beyond the limit, whatever was told before."""
    (tmp_path / "a.wav").write_bytes(wav(tone(LIMIT_SAMPLES + more)))
    recording = await open_recording(str(tmp_path / "a.wav"), Settings(), tmp_path)
    strict = limited(recording.policy, max_duration_sec=LIMIT_SEC)
    recording = recording.model_copy(update={"policy": strict})
    if more <= 0:
        assert await count(extract_all(recording)) == LIMIT_SAMPLES + more
        return
    with pytest.raises(SourceTooLargeError, match="may be opened"):
        await count(extract_all(recording))


async def test_an_open_ended_window_has_the_limit_too(policy: SourcePolicy, tmp_path: Path) -> None:
    """The last window reads on to the end of the audio, but not beyond the limit."""
    (tmp_path / "a.wav").write_bytes(wav(tone(LIMIT_SAMPLES + 16_000)))
    recording = await open_recording(str(tmp_path / "a.wav"), Settings(), tmp_path)
    strict = limited(recording.policy, max_duration_sec=LIMIT_SEC)
    recording = recording.model_copy(update={"policy": strict})
    with pytest.raises(SourceTooLargeError):
        await count(extract_window(recording, Span(16_000, LIMIT_SAMPLES), open_ended=True))
