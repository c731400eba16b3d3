"""Opening sources: what is pinned, what is refused, and in which words."""

import os
import random
import sys
from pathlib import Path

import pytest

from longform.errors import (
    EnvironmentFaultError,
    LongformError,
    NotMediaError,
    RangesUnsupportedError,
    SourceNotFoundError,
    SourceRefusedError,
    SourceStalledError,
    SourceThrottledError,
    SourceTooLargeError,
    SourceUnavailableError,
)
from longform.media.sources.http_source import NO_RANGES_WARNING
from longform.media.sources.open import check_exists, open_reader, open_source
from longform.net.policy import SourcePolicy, redact, shown_name
from tests.support.range_server import RangeServer

SMALL = random.Random(1).randbytes(70_000)
LARGE = random.Random(2).randbytes(2_500_000)


@pytest.mark.parametrize(
    ("url", "shown", "name"),
    [
        ("talk.mp3", "talk.mp3", "talk.mp3"),
        ("/a/50% ü?.mp3", "/a/50% ü?.mp3", "50% ü?.mp3"),
        ("https://u:p@h:8/a/My%20Talk.mp3?sig=1#x", "https://h:8/a/My%20Talk.mp3", "My Talk.mp3"),
        ("HTTPS://h/?token=1", "https://h/", "h"),
        ("s3://bucket/a/b.wav", "s3://bucket/a/b.wav", "b.wav"),
        ("http://[broken/x?secret", "http://…", "…"),
        ("/a/b\nc.mp3", "/a/b?c.mp3", "b?c.mp3"),
        ("https://h/a%0Ab.mp3", "https://h/a%0Ab.mp3", "ab.mp3"),
        ("http://h\n:8/a\tb.mp3?s=1", "http://h%0A:8/a%09b.mp3", "ab.mp3"),
        ("ht\ntp://h/x", "ht%0Atp://h/x", "x"),
        ("http://h/\u202e3pm.mp3", "http://h/%E2%80%AE3pm.mp3", "3pm.mp3"),
        ("/a/\udcff\u2028.mp3", "/a/??.mp3", "??.mp3"),
    ],
)
def test_what_people_may_see(url: str, shown: str, name: str) -> None:
    """Neither user nor password nor query reaches people; names are decoded and printable."""
    assert (redact(url), shown_name(url)) == (shown, name)


async def test_copies_share_a_fingerprint(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path
) -> None:
    """Two local copies, and a small http copy, have one fingerprint."""
    urls = [server.add(SMALL)]
    for name in ("a.bin", "b.bin"):
        (tmp_path / name).write_bytes(SMALL)
        urls.append(str(tmp_path / name))
    urls.append((tmp_path / "a.bin").as_uri())
    assert len({(await open_source(url, policy, tmp_path)).fingerprint for url in urls}) == 1


@pytest.mark.parametrize("etag", ["strong", "weak", "same", None])
async def test_another_query_string_is_the_same_recording(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path, etag: str | None
) -> None:
    """A signed URL of tomorrow has the fingerprint of today's."""
    server.habits.etag = etag
    url = server.add(LARGE)
    sources = [await open_source(f"{url}?sig={day}", policy, tmp_path) for day in (1, 2)]
    assert sources[0].fingerprint == sources[1].fingerprint
    assert "sig" not in sources[0].shown


async def test_one_etag_for_two_files_does_not_make_them_one(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path
) -> None:
    """Files that share length and ETag are told apart by their bytes."""
    server.habits.etag = "same"
    first = await open_source(server.add(LARGE, "/1"), policy, tmp_path)
    second = await open_source(server.add(LARGE[::-1], "/2"), policy, tmp_path)
    assert first.fingerprint != second.fingerprint


async def test_opening_a_large_file_reads_samples_only(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path
) -> None:
    """Opening costs about a megabyte, however large the file is."""
    await open_source(server.add(bytes(20_000_000)), policy, tmp_path)
    assert server.bytes_sent["/talk.bin"] < 1_300_000


async def test_no_ranges_is_downloaded_with_a_warning(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path
) -> None:
    """Without ranges the source is downloaded once, and has the fingerprint of its copy."""
    server.habits.ranges = False
    (tmp_path / "copy.bin").write_bytes(LARGE)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    source = await open_source(f"{server.add(LARGE, '/My%20Talk.bin')}?k=1", policy, scratch)
    assert (source.supports_ranges, source.warnings) == (False, (NO_RANGES_WARNING,))
    assert source.name == "My Talk.bin"
    assert source.shown == server.url("/My%20Talk.bin")
    copy = await open_source(str(tmp_path / "copy.bin"), policy, tmp_path)
    assert source.fingerprint == copy.fingerprint
    reader = open_reader(source, policy)
    assert await reader.read(0, len(LARGE)) == LARGE
    await reader.close()
    assert [Path(source.url)] == list(scratch.iterdir())


async def test_a_download_that_fails_leaves_nothing(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path
) -> None:
    """No partial file stays behind after a cut download, and after one that is too large."""
    server.habits.ranges, server.habits.cut_after = False, 1_000_000
    with pytest.raises(SourceUnavailableError):
        await open_source(server.add(LARGE), policy, tmp_path)
    server.habits.cut_after, server.habits.chunked = None, True
    small = policy.model_copy(update={"max_download_bytes": 100_000})
    with pytest.raises(SourceTooLargeError):
        await open_source(server.url("/talk.bin"), small, tmp_path)
    assert not os.listdir(tmp_path)  # noqa: PTH208


async def test_a_chunked_answer_without_length_is_downloaded(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path
) -> None:
    """A server that does not say the length can still be read."""
    server.habits.ranges, server.habits.chunked = False, True
    source = await open_source(server.add(LARGE), policy, tmp_path)
    assert source.length_bytes == len(LARGE)


async def test_require_range(server: RangeServer, policy: SourcePolicy, tmp_path: Path) -> None:
    """With `require_range` a server without ranges is an error."""
    server.habits.ranges = False
    strict = policy.model_copy(update={"require_range": True})
    with pytest.raises(RangesUnsupportedError):
        await open_source(server.add(LARGE), strict, tmp_path)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, SourceNotFoundError),
        (410, SourceNotFoundError),
        (401, SourceRefusedError),
        (403, SourceRefusedError),
        (418, SourceRefusedError),
        (429, SourceThrottledError),
        (503, SourceThrottledError),
        (500, SourceUnavailableError),
        (504, SourceUnavailableError),
    ],
)
async def test_statuses(
    server: RangeServer,
    policy: SourcePolicy,
    tmp_path: Path,
    status: int,
    kind: type[LongformError],
) -> None:
    """Each status is the error that says what to do about it; only temporary ones are retried."""
    server.habits.status = status
    with pytest.raises(kind) as caught:
        await open_source(f"{server.add(SMALL)}?secret=1", policy, tmp_path)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    retried = kind in (SourceThrottledError, SourceUnavailableError)
    assert len(server.requests) == (policy.max_attempts if retried else 1)


async def test_temporary_faults_are_waited_out(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path
) -> None:
    """A 503 with Retry-After and a 500 are retried, then the source opens."""
    server.habits.statuses, server.habits.retry_after = [503, 500], "0"
    source = await open_source(server.add(SMALL), policy, tmp_path)
    assert source.length_bytes == len(SMALL)


async def test_nobody_listens(server: RangeServer, policy: SourcePolicy, tmp_path: Path) -> None:
    """A refused connection is a source that is unavailable now."""
    url = server.url("/x")
    server.close()
    with pytest.raises(SourceUnavailableError, match="cannot be reached"):
        await open_source(url, policy, tmp_path)


async def test_a_server_that_says_nothing(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path
) -> None:
    """A body that stalls is a stalled source, not an endless wait."""
    server.habits.stall_after = 10
    quick = policy.model_copy(update={"stall_timeout_sec": 0.4})
    with pytest.raises(SourceStalledError):
        await open_source(server.add(SMALL), quick, tmp_path)


async def test_redirects_are_followed_and_remembered(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path
) -> None:
    """A relative redirect is followed; the fingerprint is that of what it leads to."""
    direct = await open_source(server.add(LARGE), policy, tmp_path)
    server.habits.redirects["/old"] = "/talk.bin"
    moved = await open_source(server.url("/old"), policy, tmp_path)
    assert moved.fingerprint == direct.fingerprint


async def test_a_redirect_that_expires_is_asked_for_again(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path
) -> None:
    """When the place a redirect led to is gone, the first address is asked once more."""
    server.add(LARGE, "/signed-1")
    server.add(LARGE, "/signed-2")
    server.habits.redirects["/talk"] = "/signed-1"
    source = await open_source(server.url("/talk"), policy, tmp_path)
    reader = open_reader(source, policy)
    assert await reader.read(0, 10) == LARGE[:10]
    del server.habits.files["/signed-1"]
    server.habits.redirects["/talk"] = "/signed-2"
    assert await reader.read(10, 20) == LARGE[10:20]
    await reader.close()


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://h/"])
async def test_redirects_to_other_schemes_are_refused(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path, target: str
) -> None:
    """A redirect cannot leave http(s)."""
    server.habits.redirects["/talk"] = target
    with pytest.raises(SourceRefusedError, match="redirects to"):
        await open_source(server.url("/talk"), policy, tmp_path)


async def test_redirect_loops_end(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path
) -> None:
    """Five redirects are followed, a sixth is not."""
    server.habits.redirects["/talk"] = "/talk"
    with pytest.raises(SourceRefusedError, match="more than 5 times"):
        await open_source(server.url("/talk"), policy, tmp_path)
    assert len(server.requests) == 6


async def test_redirects_to_private_addresses_are_refused(
    server: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An allowed host cannot send us to a denied one: each redirect is judged anew."""
    monkeypatch.setattr(
        "longform.net.safe_http.denial",
        lambda address: "private" if address.startswith("10.") else None,
    )
    server.habits.redirects["/talk"] = "http://10.0.0.1/talk"
    with pytest.raises(SourceRefusedError, match=r"10\.0\.0\.1"):
        await open_source(server.url("/talk"), SourcePolicy(), tmp_path)


async def test_private_hosts_are_refused_by_default(server: RangeServer, tmp_path: Path) -> None:
    """Without permission nothing on loopback is opened, and nothing is sent there."""
    with pytest.raises(SourceRefusedError, match="--allow-private-hosts"):
        await open_source(server.add(SMALL), SourcePolicy(), tmp_path)
    assert server.requests == []


async def test_proxy_settings_cannot_bypass_the_policy(
    server: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy in the environment is not used: it would resolve names out of our sight."""
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, server.url("/"))
    with pytest.raises(SourceRefusedError):
        await open_source("http://169.254.169.254/latest/meta-data", SourcePolicy(), tmp_path)
    assert server.requests == []


def _bad_local(tmp_path: Path) -> dict[str, tuple[str, type[LongformError]]]:
    (tmp_path / "empty.wav").touch()
    os.mkfifo(tmp_path / "pipe")
    return {
        "missing": (str(tmp_path / "no\nne.wav"), SourceNotFoundError),
        "missing url": ((tmp_path / "none.wav").as_uri(), SourceNotFoundError),
        "folder": (str(tmp_path), NotMediaError),
        "empty": (str(tmp_path / "empty.wav"), NotMediaError),
        "pipe": (str(tmp_path / "pipe"), SourceRefusedError),
        "other host": ("file://elsewhere/x.wav", SourceRefusedError),
        "scheme": ("ftp://host/x.wav", SourceRefusedError),
        "playlist": ("concat://a|b", SourceRefusedError),
        "nul": ("a\0b", SourceNotFoundError),
        "too long": ("x" * 5_000, SourceRefusedError),
    }


@pytest.mark.parametrize(
    "case",
    [
        "missing",
        "missing url",
        "folder",
        "empty",
        "pipe",
        "other host",
        "scheme",
        "playlist",
        "nul",
        "too long",
    ],
)
async def test_bad_paths(tmp_path: Path, case: str) -> None:
    """Whatever is wrong with a path is said in one line, before and when it is opened."""
    url, kind = _bad_local(tmp_path)[case]
    with pytest.raises(kind) as caught:
        await open_source(url, SourcePolicy(), tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(kind):
        check_exists(url)


async def test_empty_and_too_large_remote_files(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path
) -> None:
    """An empty remote file is no recording; one over the limit is refused unread."""
    with pytest.raises(NotMediaError, match="is empty"):
        await open_source(server.add(b"", "/empty"), policy, tmp_path)
    small = policy.model_copy(update={"max_bytes": 1_000_000})
    with pytest.raises(SourceTooLargeError):
        await open_source(server.add(LARGE), small, tmp_path)


async def test_relative_paths_are_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker with another working directory finds the same file."""
    (tmp_path / "talk.bin").write_bytes(SMALL)
    monkeypatch.chdir(tmp_path)
    assert (await open_source("talk.bin", SourcePolicy(), tmp_path)).url == str(
        tmp_path / "talk.bin"
    )


@pytest.mark.parametrize(
    ("scheme", "extra", "package"),
    [("s3", "s3", "s3fs"), ("gs", "gcs", "gcsfs"), ("az", "azure", "adlfs")],
)
async def test_object_stores_name_their_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str, extra: str, package: str
) -> None:
    """An object store whose package is missing is an error that says what to install."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EnvironmentFaultError, match=rf"longform\[{extra}\]"):
        await open_source(f"{scheme}://bucket/talk.mp3", SourcePolicy(), tmp_path)
