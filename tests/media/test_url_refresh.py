"""Signed URLs that expire while their source is read, against a server whose links run out."""

import asyncio
import random
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from longform.errors import (
    EnvironmentFaultError,
    LongformError,
    SourceChangedError,
    SourceError,
    SourceExpiredError,
    SourceNotFoundError,
    SourceRefusedError,
)
from longform.media.gateway.gateway import serve
from longform.media.model import Source
from longform.media.sources import signed_urls
from longform.media.sources.open import open_reader, open_source
from longform.net.policy import SourcePolicy
from tests.support.range_server import RangeServer

CONTENT = random.Random(8).randbytes(4_000_001)
HOOK = "operators_hooks:renew"


class Operator:
    """The operator's hook: what it was asked, and what it does."""

    def __init__(self, server: RangeServer) -> None:
        self._server = server
        self.calls: list[tuple[str, str]] = []
        self.threads: set[str] = set()
        self.answer: Callable[[], object] = self.next_link

    def __call__(self, address: str, reason: str) -> object:
        self.calls.append((address, reason))
        self.threads.add(threading.current_thread().name)
        return self.answer()

    def next_link(self) -> str:
        """Let the old links expire and return a new one."""
        query = f"sig=secret{len(self.calls) + 1}"
        self._server.habits.admitted = {query}
        return f"{self._server.url('/talk.bin')}?{query}"


@pytest.fixture
def operator(server: RangeServer, monkeypatch: pytest.MonkeyPatch) -> Operator:
    """A module of the operator's, under the name that the policy gives."""
    module = ModuleType("operators_hooks")
    operator = Operator(server)
    module.renew = operator  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "operators_hooks", module)
    return operator


@pytest.fixture
def policy(policy: SourcePolicy) -> SourcePolicy:
    """A policy that names the operator's hook."""
    return policy.model_copy(update={"url_refresh": HOOK, "stall_timeout_sec": 5.0})


@pytest.fixture
def link(server: RangeServer) -> str:
    """A signed URL that is good until the test says otherwise."""
    server.habits.admitted = {"sig=secret1"}
    return f"{server.add(CONTENT)}?sig=secret1"


def expire(server: RangeServer, status: int = 403, body: bytes = b"") -> None:
    """From now on no link is good."""
    server.habits.admitted, server.habits.refusal = set(), (status, body)


EXPIRIES = [
    (401, b""),
    (403, b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"),
    (410, b""),
    (400, b"<Error><Code>ExpiredToken</Code></Error>"),
    (400, b"<Error><Message>Request has expired</Message></Error>"),
]


@pytest.mark.parametrize(("status", "body"), EXPIRIES)
async def test_reading_goes_on_at_a_new_link(
    server: RangeServer,
    policy: SourcePolicy,
    tmp_path: Path,
    operator: Operator,
    link: str,
    status: int,
    body: bytes,
) -> None:
    """However the server says that the link has expired, the bytes are those of the source."""
    source = await open_source(link, policy, tmp_path)
    reader = open_reader(source, policy)
    assert await reader.read(0, 1_000) == CONTENT[:1_000]
    expire(server, status, body)
    assert await reader.read(1_000, 3_000_000) == CONTENT[1_000:3_000_000]
    await reader.close()
    (called,) = operator.calls
    assert called[0] == source.url
    assert str(status) in called[1]
    assert "secret" not in "".join(called)
    assert signed_urls.resolve(source.url).endswith("sig=secret2")


async def test_readers_share_one_refresh(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path, operator: Operator, link: str
) -> None:
    """Sixteen reads on four readers and two threads, and the hook is asked once."""
    source = await open_source(link, policy, tmp_path)
    expire(server)

    async def read_all() -> list[bytes]:
        readers = [open_reader(source, policy) for _ in range(2)]
        starts = [(reader, start) for reader in readers for start in (0, 999_999, 2_000_000, 5)]
        parts = await asyncio.gather(*(reader.read(at, at + 100_000) for reader, at in starts))
        for reader in readers:
            await reader.close()
        wanted = [CONTENT[at : at + 100_000] for _, at in starts]
        return [part == piece for part, piece in zip(parts, wanted, strict=True)]

    elsewhere = asyncio.to_thread(lambda: asyncio.run(read_all()))
    here, there = await asyncio.gather(read_all(), elsewhere)
    assert all(here)
    assert all(there)
    assert len(operator.calls) == 1
    assert operator.threads == {"url-refresh"}


async def test_a_link_that_expires_again_and_again(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path, operator: Operator, link: str
) -> None:
    """Ten expiries in one job are ten refreshes, through the gateway as ffmpeg reads."""
    source = await open_source(link, policy, tmp_path)
    async with serve(source, policy) as served:
        for block in range(10):
            expire(server)
            start = block * 400_000
            assert await served.read(start, start + 10) == CONTENT[start : start + 10]
        served.raise_for_failure()
    assert 5 <= len(operator.calls) <= 10  # neighbours share a block of the cache


async def test_without_a_hook_the_error_says_that_the_link_has_expired(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path, link: str
) -> None:
    """A final error that names the remedy, and holds no secret."""
    plain = policy.model_copy(update={"url_refresh": None})
    source = await open_source(link, plain, tmp_path)
    expire(server)
    asked = len(server.requests)
    with pytest.raises(SourceExpiredError, match="LONGFORM_URL_REFRESH") as raised:
        await open_reader(source, plain).read(0, 10)
    assert len(server.requests) == asked + 1
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "kind"), [(403, SourceRefusedError), (410, SourceNotFoundError)]
)
async def test_an_address_without_a_signature_cannot_expire(
    server: RangeServer,
    policy: SourcePolicy,
    tmp_path: Path,
    status: int,
    kind: type[LongformError],
) -> None:
    """A plain URL that is refused in mid-job keeps its own error."""
    plain = policy.model_copy(update={"url_refresh": None})
    source = await open_source(server.add(CONTENT), plain, tmp_path)
    expire(server, status)
    with pytest.raises(kind):
        await open_reader(source, plain).read(0, 10)


async def test_a_link_that_was_never_good_is_refused(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path, operator: Operator, link: str
) -> None:
    """The hook mends what has expired, not what is wrong from the start."""
    expire(server)
    with pytest.raises(SourceRefusedError):
        await open_source(link, policy, tmp_path)
    assert not operator.calls


async def test_a_bad_request_that_speaks_of_no_expiry_is_none(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path, operator: Operator, link: str
) -> None:
    """A 400 alone does not call the hook."""
    source = await open_source(link, policy, tmp_path)
    expire(server, 400, b"<Error><Code>MalformedXML</Code></Error>")
    with pytest.raises(SourceError):
        await open_reader(source, policy).read(0, 10)
    assert not operator.calls


def _raise() -> object:
    raise ValueError("https://signer/?sig=secret9")


def _other_content(server: RangeServer) -> str:
    server.habits.admitted = None
    return server.add(CONTENT[::-1], "/other.bin") + "?sig=secret3"


def _no_ranges(server: RangeServer) -> str:
    server.habits.admitted, server.habits.ranges = None, False
    return server.url("/talk.bin") + "?sig=secret3"


BAD_HOOKS: dict[str, tuple[Callable[[RangeServer], object], type[LongformError]]] = {
    "raises": (lambda server: _raise(), SourceExpiredError),
    "returns nothing": (lambda server: None, SourceExpiredError),
    "a path": (lambda server: "/etc/passwd", SourceExpiredError),
    "a file": (lambda server: "file:///etc/passwd", SourceExpiredError),
    "the old link": (lambda server: f"{server.url('/talk.bin')}?sig=secret1", SourceError),
    "other content": (_other_content, SourceChangedError),
    "shorter content": (
        lambda server: _other_content(server).replace("other", "talk") and server.add(b"x" * 9),
        SourceError,
    ),
    "no ranges": (_no_ranges, SourceError),
    "metadata service": (lambda server: "http://169.254.169.254/latest", SourceRefusedError),
}


@pytest.mark.parametrize("case", BAD_HOOKS)
async def test_a_new_link_is_judged_like_any_other(
    server: RangeServer,
    policy: SourcePolicy,
    tmp_path: Path,
    operator: Operator,
    link: str,
    case: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the hook gives is checked by the policy and against what was pinned."""
    answer, kind = BAD_HOOKS[case]
    source = await open_source(link, policy, tmp_path)
    expire(server)
    operator.answer = lambda: answer(server)
    if case == "metadata service":
        policy = policy.model_copy(update={"allow_private_hosts": False})
        reader = open_reader(source, policy)
        monkeypatch.setattr("longform.net.safe_http.denial", _only_metadata)
    else:
        reader = open_reader(source, policy)
    with pytest.raises(kind) as raised:
        await reader.read(0, 200_000)
    await reader.close()
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(operator.calls) <= 3


def _only_metadata(address: str) -> str | None:
    return "link-local and cloud metadata" if address.startswith("169.254.") else None


async def test_a_hook_that_hangs_ends_the_read(
    server: RangeServer,
    policy: SourcePolicy,
    tmp_path: Path,
    operator: Operator,
    link: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The hook has its time; a thread of it that never ends holds nobody up."""
    released = threading.Event()
    operator.answer = released.wait
    monkeypatch.setattr(signed_urls, "HOOK_TIMEOUT_SEC", 0.1)
    source = await open_source(link, policy, tmp_path)
    expire(server)
    with pytest.raises(SourceExpiredError, match="within"):
        await open_reader(source, policy).read(0, 10)
    released.set()


@pytest.mark.parametrize("name", ["", "nothing", "no.such.module:f", "os:no_such_name", ":"])
async def test_a_setting_that_names_no_function(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path, link: str, name: str
) -> None:
    """The setting is named together with what it should look like."""
    broken = policy.model_copy(update={"url_refresh": name})
    source = await open_source(link, broken, tmp_path)
    expire(server)
    with pytest.raises(EnvironmentFaultError, match=r"package\.module:function"):
        await open_reader(source, broken).read(0, 10)


async def test_a_sealed_address_of_another_host_is_asked_for(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path, operator: Operator, link: str
) -> None:
    """A run that is started again with what Prefect has stored goes on where there is a hook."""
    sealed = f"{server.url('/talk.bin')}#sealed-{'1' * 16}"
    plain = policy.model_copy(update={"url_refresh": None})
    with pytest.raises(SourceExpiredError, match="start again with the full link"):
        await open_source(sealed, plain, tmp_path)
    source = await open_source(sealed, policy, tmp_path)
    assert (source.length_bytes, source.shown) == (len(CONTENT), server.url("/talk.bin"))
    assert operator.calls == [(sealed, "unknown")]


async def test_a_redirect_to_a_signed_address(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path, operator: Operator, link: str
) -> None:
    """What a plain address redirects to is neither stored nor logged, and is asked for anew."""
    server.habits.redirects["/latest"] = "/talk.bin?sig=secret1"
    source = await open_source(server.url("/latest"), policy, tmp_path)
    reader = open_reader(source, policy)
    assert await reader.read(0, 9) == CONTENT[:9]
    server.habits.admitted = {"sig=secret2"}
    server.habits.redirects["/latest"] = "/talk.bin?sig=secret2"
    assert await reader.read(9, 999) == CONTENT[9:999]
    assert "secret" not in source.model_dump_json()
    assert not operator.calls


async def test_what_is_stored_of_a_source_holds_no_secret(
    server: RangeServer, policy: SourcePolicy, tmp_path: Path, link: str
) -> None:
    """Neither JSON nor repr of a source has the signature, and it can be read all the same."""
    source = await open_source(link, policy, tmp_path)
    travelled = Source.model_validate_json(source.model_dump_json())
    assert "secret" not in source.model_dump_json() + repr(source)
    assert await open_reader(travelled, policy).read(5, 50) == CONTENT[5:50]


@pytest.fixture(autouse=True)
def _nothing_in_the_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No log line of any test here, down to those of httpx and httpcore, has a signature."""
    caplog.set_level("DEBUG")
    yield
    records = caplog.get_records("setup") + caplog.get_records("call")
    assert "secret" not in "\n".join(record.getMessage() for record in records)
