"""Object stores: a real S3-compatible server, its faults, and what identifies an object."""

import asyncio
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from longform.audio import Pcm, Span
from longform.errors import (
    EnvironmentFaultError,
    LongformError,
    NotMediaError,
    SourceChangedError,
    SourceNotFoundError,
    SourceRefusedError,
    SourceStalledError,
    SourceThrottledError,
    SourceTooLargeError,
    SourceUnavailableError,
)
from longform.media.decode.extract import extract_all, extract_window
from longform.media.decode.ffmpeg_args import find_ffmpeg
from longform.media.gateway.gateway import serve
from longform.media.model import Recording
from longform.media.probe.probe import probe
from longform.media.sources import cloud_clients
from longform.media.sources.open import open_reader, open_source
from longform.net.policy import SourcePolicy
from longform.storage.store_errors import object_error
from tests.conftest import REPO_ROOT, WELCOME
from tests.media.containers import CONTAINERS, make
from tests.support.s3_server import BUCKET, S3Server

CONTENT = random.Random(3).randbytes(2_500_003)
PART_BYTES = 5 << 20  # the smallest part of a multipart upload, in bytes
LONG = random.Random(4).randbytes(PART_BYTES + 1_000_003)


@pytest.fixture
def policy(policy: SourcePolicy) -> SourcePolicy:
    """As in the other tests of media, with time for a server that shares this process."""
    return policy.model_copy(update={"stall_timeout_sec": 10.0})


@pytest.fixture
def changed_environment(s3: S3Server) -> Iterator[None]:
    """Let botocore look at its environment anew, in the test and after it."""
    cloud_clients.s3_file_system.cache_clear()
    yield
    cloud_clients.s3_file_system.cache_clear()


def impatient(policy: SourcePolicy) -> SourcePolicy:
    """Return a policy for servers that hang."""
    return policy.model_copy(update={"stall_timeout_sec": 0.4})


async def fingerprint(url: str, policy: SourcePolicy, folder: Path) -> str:
    """Return what identifies the content behind an address."""
    return (await open_source(url, policy, folder)).fingerprint


async def decode(url: str, policy: SourcePolicy, folder: Path) -> tuple[str, list[Pcm]]:
    """Return the access, and what the recording sounds like: in windows, or in one pass."""
    source = await open_source(url, policy, folder)
    media = await probe(source, policy)
    recording = Recording(source=source, media=media, policy=policy)
    if media.access == "sequential":
        ways = [extract_all(recording)]
    else:
        edges = [0, 70_001, 160_000, media.num_samples_estimate or 0]
        ways = [extract_window(recording, Span(a, b)) for a, b in pairwise(edges)]
    parts = []
    for way in ways:
        async with aclosing(way) as blocks:
            parts.append(np.concatenate([block async for block in blocks]))
    return media.access, parts


@pytest.mark.parametrize("name", ["plain.flac", "moov_at_the_end.m4a", "cbr.mp3"])
async def test_an_object_sounds_like_the_file(
    s3: S3Server, policy: SourcePolicy, tmp_path: Path, name: str
) -> None:
    """Windows of flac and m4a, and one pass of mp3, give the samples of the local copy."""
    container = next(one for one in CONTAINERS if one.name == name)
    path = make(container, WELCOME, tmp_path, find_ffmpeg(None))
    address = s3.put(f"a folder/ü/{name}", path.read_bytes())
    access, local = await decode(str(path), policy, tmp_path)
    remote_access, remote = await decode(address, policy, tmp_path)
    assert access == remote_access == container.access
    assert sum(map(len, local)) > 16_000
    assert all(np.array_equal(a, b) for a, b in zip(local, remote, strict=True))


async def test_every_range_is_asked_of_the_pinned_version(
    s3: S3Server, policy: SourcePolicy, tmp_path: Path
) -> None:
    """Each GET carries If-Match, those for the fingerprint included."""
    source = await open_source(s3.put("talk.bin", CONTENT), policy, tmp_path)
    async with serve(source, policy) as served:
        assert await served.read(0, len(CONTENT)) == CONTENT
    gets = [match for method, _, match in s3.requests if method == "GET"]
    assert len(gets) > 16
    assert set(gets) == {source.etag}


async def test_an_object_replaced_in_the_middle_gives_no_mixture(
    s3: S3Server, policy: SourcePolicy, tmp_path: Path
) -> None:
    """After the object was replaced by one of its length, not one of its bytes is returned."""
    source = await open_source(s3.put("talk.bin", CONTENT), policy, tmp_path)
    reader = open_reader(source, policy)
    assert await reader.read(0, 1_000) == CONTENT[:1_000]
    s3.put("talk.bin", CONTENT[::-1])
    for start in (0, 1_000, 2_000_000):
        with pytest.raises(SourceChangedError, match="start again"):
            await reader.read(start, start + 1_000)


async def test_a_version_that_was_asked_for_is_the_one_that_is_read(
    s3: S3Server, policy: SourcePolicy, tmp_path: Path
) -> None:
    """`?versionId=` opens that version, also when there is a newer one."""
    s3.client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    try:
        answer = s3.client.put_object(Bucket=BUCKET, Key="talk.bin", Body=CONTENT)
        s3.put("talk.bin", CONTENT[::-1])
        address = f"s3://{BUCKET}/talk.bin?versionId={answer['VersionId']}"
        source = await open_source(address, policy, tmp_path)
        assert await open_reader(source, policy).read(5, 50) == CONTENT[5:50]
        assert source.shown == f"s3://{BUCKET}/talk.bin"
    finally:
        s3.client.put_bucket_versioning(
            Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"}
        )


FAULTS: dict[str, tuple[Callable[[S3Server], object], type[LongformError] | None]] = {
    "slow down once": (lambda s3: s3.habits.answers.append((503, "SlowDown", "1")), None),
    "429 once": (lambda s3: s3.habits.answers.append((429, "TooManyRequests", None)), None),
    "500 once": (lambda s3: s3.habits.answers.append((500, "InternalError", None)), None),
    "cut once": (lambda s3: setattr(s3.habits, "cut_bodies", 1), None),
    "slow down for ever": (
        lambda s3: s3.habits.answers.extend([(503, "SlowDown", None)] * 9),
        SourceThrottledError,
    ),
    "500 for ever": (
        lambda s3: s3.habits.answers.extend([(500, "InternalError", None)] * 9),
        SourceUnavailableError,
    ),
    "cut for ever": (lambda s3: setattr(s3.habits, "cut_bodies", 9), SourceUnavailableError),
    "stalls": (lambda s3: setattr(s3.habits, "stall", True), SourceStalledError),
    "expired token": (
        lambda s3: s3.habits.answers.append((400, "ExpiredToken", None)),
        SourceRefusedError,
    ),
    "archived": (
        lambda s3: s3.habits.answers.append((403, "InvalidObjectState", None)),
        SourceRefusedError,
    ),
    "deleted": (lambda s3: s3.delete("talk.bin"), SourceNotFoundError),
    "shorter": (lambda s3: s3.put("talk.bin", CONTENT[:100_000]), SourceChangedError),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_heals_or_has_a_name(
    s3: S3Server, policy: SourcePolicy, tmp_path: Path, fault: str
) -> None:
    """What a store does wrong once is healed; what lasts is a named error; no byte is wrong."""
    source = await open_source(s3.put("talk.bin", CONTENT), policy, tmp_path)
    reader = open_reader(source, impatient(policy) if fault == "stalls" else policy)
    inject, expected = FAULTS[fault]
    inject(s3)
    if expected is None:
        assert await reader.read(500_000, 900_000) == CONTENT[500_000:900_000]
        assert not s3.habits.answers
        assert not s3.habits.cut_bodies
        return
    with pytest.raises(expected) as raised:
        await reader.read(500_000, 900_000)
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith(source.shown)
    s3.ending.set()
    s3.ending.clear()


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        (f"s3://{BUCKET}/missing.mp3", SourceNotFoundError),
        ("s3://no-such-bucket/talk.mp3", SourceNotFoundError),
        ("s3://Not_A_Bucket!/talk.mp3", SourceRefusedError),
        (f"s3://{BUCKET}", NotMediaError),
        (f"s3://{BUCKET}/", NotMediaError),
        (f"s3://{BUCKET}/empty.mp3", NotMediaError),
        ("s3://", LongformError),
    ],
)
async def test_what_is_not_there(
    s3: S3Server,
    policy: SourcePolicy,
    tmp_path: Path,
    address: str,
    kind: type[LongformError],
) -> None:
    """A missing object, bucket or name is one line, and no request is repeated for it."""
    s3.put("empty.mp3", b"")
    s3.requests.clear()
    with pytest.raises(kind):
        await open_source(address, policy, tmp_path)
    assert len(s3.requests) <= 1


async def test_too_large(s3: S3Server, policy: SourcePolicy, tmp_path: Path) -> None:
    """The limit of bytes holds before a byte is read."""
    small = policy.model_copy(update={"max_bytes": 1_000})
    with pytest.raises(SourceTooLargeError, match="1000"):
        await open_source(s3.put("talk.bin", CONTENT), small, tmp_path)
    assert not [method for method, _, _ in s3.requests if method == "GET"]


@pytest.mark.usefixtures("changed_environment")
@pytest.mark.parametrize("key_id", ["somebody-else", None])
async def test_wrong_or_missing_credentials_say_where_they_come_from(
    s3: S3Server,
    policy: SourcePolicy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    key_id: str | None,
) -> None:
    """Without the right credentials the error is final and names the variables."""
    address = s3.put("talk.bin", CONTENT)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    if key_id is not None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key_id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    with pytest.raises(SourceRefusedError, match="AWS_ACCESS_KEY_ID") as raised:
        await open_source(address, policy, tmp_path)
    assert "wrong-secret" not in str(raised.value)


@pytest.mark.usefixtures("changed_environment")
async def test_an_endpoint_that_is_down_is_retried_and_retryable(
    s3: S3Server, policy: SourcePolicy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listening is an error that another attempt may not meet."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(SourceUnavailableError, match="try again later"):
        await open_source(f"s3://{BUCKET}/talk.bin", policy, tmp_path)


def test_a_store_that_hangs_holds_nothing(
    s3: S3Server, policy: SourcePolicy, tmp_path: Path
) -> None:
    """After a dozen reads that hang, threads of the pool are free and the loop ends."""
    address = s3.put("talk.bin", CONTENT)

    async def hang() -> str:
        source = await open_source(address, policy, tmp_path)
        reader = open_reader(source, impatient(policy))
        s3.habits.stall = True
        reads = (reader.read(start, start + 100) for start in range(12))
        ended = await asyncio.gather(*reads, return_exceptions=True)
        assert {type(one) for one in ended} == {SourceStalledError}
        return await asyncio.to_thread(lambda: threading.current_thread().name)

    ended: list[str] = []
    thread = threading.Thread(target=lambda: ended.append(asyncio.run(hang())), daemon=True)
    thread.start()
    thread.join(60)
    s3.ending.set()
    assert ended
    s3.ending.clear()


async def test_a_chained_address_reaches_no_other_file_system(
    s3: S3Server, policy: SourcePolicy, tmp_path: Path
) -> None:
    """fsspec's "::" leads nowhere: the address is one object's, whatever is in its name."""
    secret = tmp_path / "secret.bin"
    secret.write_bytes(CONTENT)
    for address in (f"s3://{BUCKET}/x::file://{secret}", f"s3::file://{secret}"):
        with pytest.raises((SourceNotFoundError, SourceRefusedError)):
            await open_source(address, policy, tmp_path)


async def test_copies_of_an_object_are_one_recording(
    s3: S3Server, policy: SourcePolicy, tmp_path: Path
) -> None:
    """By another key, another bucket, or a signed link, one content has one fingerprint."""
    s3.client.create_bucket(Bucket="elsewhere")
    s3.client.put_object(Bucket="elsewhere", Key="b.bin", Body=CONTENT)
    addresses = [s3.put("talk.bin", CONTENT), s3.put("other/name", CONTENT), "s3://elsewhere/b.bin"]
    for seconds in (60, 90):
        place = {"Bucket": BUCKET, "Key": "talk.bin"}
        addresses.append(s3.client.generate_presigned_url("get_object", place, ExpiresIn=seconds))
    found = {await fingerprint(address, policy, tmp_path) for address in addresses}
    assert len(found) == 1
    other = CONTENT[:700_000] + b"?" + CONTENT[700_001:]
    assert await fingerprint(s3.put("talk.bin", other), policy, tmp_path) not in found


async def test_the_size_of_parts_is_no_part_of_the_content(
    s3: S3Server, policy: SourcePolicy, tmp_path: Path
) -> None:
    """A multipart upload has another ETag; a checksum of the whole identifies it all the same."""
    halves = [LONG[:PART_BYTES], LONG[PART_BYTES:]]
    uneven = [LONG[: PART_BYTES + 7], LONG[PART_BYTES + 7 :]]
    sources = [
        await open_source(s3.put_in_parts(f"{number}.bin", parts), policy, tmp_path)
        for number, parts in enumerate((halves, halves, uneven))
    ]
    assert sources[0].fingerprint == sources[1].fingerprint
    assert sources[0].etag != sources[2].etag
    assert await open_reader(sources[2], policy).read(7, 5_000) == LONG[7:5_000]


async def test_a_small_object_equals_its_local_copy(
    s3: S3Server, policy: SourcePolicy, tmp_path: Path
) -> None:
    """What is read whole is identified by nothing but its bytes."""
    (tmp_path / "copy.bin").write_bytes(CONTENT[:900_000])
    address = s3.put("talk.bin", CONTENT[:900_000])
    local = await fingerprint(str(tmp_path / "copy.bin"), policy, tmp_path)
    assert await fingerprint(address, policy, tmp_path) == local


class _AzureError(Exception):
    """The shape of azure.core's HttpResponseError."""

    def __init__(self, status: int) -> None:
        super().__init__("no")
        self.status_code = status


_AzureError.__module__ = "azure.core.exceptions"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, SourceRefusedError),
        (403, SourceRefusedError),
        (404, SourceNotFoundError),
        (409, SourceRefusedError),
        (412, SourceChangedError),
        (416, SourceChangedError),
        (429, SourceThrottledError),
        (500, SourceUnavailableError),
        (503, SourceThrottledError),
    ],
)
def test_statuses_of_other_stores(status: int, kind: type[LongformError]) -> None:
    """Libraries that carry the status in their errors are understood by it."""
    error = object_error(_AzureError(status), "az://c/talk.mp3")
    assert type(error) is kind
    assert str(error).startswith("az://c/talk.mp3 ")


def test_no_store_is_imported_before_it_is_needed() -> None:
    """Opening a local file loads neither botocore nor any other store's library."""
    script = (
        "import sys, longform.media.sources.open, longform.media.sources.object_store\n"
        "print([name for name in ('botocore', 's3fs', 'gcsfs', 'aiohttp') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=REPO_ROOT,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.usefixtures("changed_environment")
async def test_a_missing_package_is_named(
    policy: SourcePolicy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without s3fs the error says what to install."""
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(EnvironmentFaultError, match=r"longform\[s3\]"):
        await open_source("s3://bucket/talk.mp3", policy, tmp_path)
