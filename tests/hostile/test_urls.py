"""Hostile addresses, three ways: the command line, the flow's parameter, and a redirect."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from longform.errors import (
    LongformError,
    SourceNotFoundError,
    SourceRefusedError,
    SourceUnavailableError,
)
from longform.media.model import source_policy
from longform.media.sources.open import check_exists
from longform.net.safe_http import CheckedBackend
from longform.settings import Settings
from tasks.stages import open_source
from tests.hostile.conftest import Command, Surroundings
from tests.hostile.urls import (
    BROKEN_HEADERS,
    PUBLIC,
    TAKEN_FOR_PATHS,
    TAKEN_FOR_RELATIVE,
    UNKNOWN_NAMES,
    URLS,
)

SOURCE = 3  # exit code
NUM_WAYS = 3


def outcome_of(url: str, folder: Path) -> LongformError:
    """Open an address as the flow does, and return the error it ends with."""
    with pytest.raises(LongformError) as caught:
        asyncio.run(open_source.fn(url, source_policy(Settings()), folder))
    return caught.value


def expected(url: str, not_found: frozenset[str], broken: frozenset[str]) -> type[LongformError]:
    """Return how an address has to end."""
    if url in not_found | PUBLIC:
        return SourceNotFoundError
    return SourceUnavailableError if url in UNKNOWN_NAMES | broken else SourceRefusedError


def test_there_are_enough_of_them() -> None:
    """Sixty spellings, no two of them the same, are tried three ways."""
    assert len(set(URLS)) == len(URLS) >= 60
    assert NUM_WAYS * len(URLS) >= 180


@pytest.mark.parametrize("url", URLS, ids=ascii)
def test_as_the_parameter_of_the_flow(around: Surroundings, tmp_path: Path, url: str) -> None:
    """Each spelling ends in its error, of one printable line; so does a quick look before."""
    error = outcome_of(around.fill(url), tmp_path)
    assert isinstance(error, expected(url, TAKEN_FOR_PATHS, frozenset()))
    assert str(error).isprintable()
    with suppress(type(error)):  # nothing is wrong yet, or the same thing
        check_exists(around.fill(url))


@pytest.mark.parametrize("url", URLS, ids=ascii)
def test_as_the_target_of_a_redirect(around: Surroundings, tmp_path: Path, url: str) -> None:
    """A server that may be used cannot send us to any of them."""
    location = around.fill(url).encode().decode("latin-1")
    around.public.habits.redirects["/talk"] = location
    error = outcome_of("http://public.example/talk", tmp_path)
    assert isinstance(error, expected(url, TAKEN_FOR_RELATIVE, BROKEN_HEADERS))
    assert str(error).isprintable()


@pytest.mark.parametrize("url", URLS, ids=ascii)
def test_on_the_command_line(around: Surroundings, command: Command, url: str) -> None:
    """The command ends with the code for sources, one line on stderr and nothing else."""
    code, out, err = command("plan", "--", around.fill(url))
    assert (code, out) == (SOURCE, "")
    assert err.startswith("longform: ")
    assert err.removesuffix("\n").isprintable()


def test_a_name_is_resolved_once_for_a_connection(around: Surroundings, tmp_path: Path) -> None:
    """A name whose second answer is loopback (DNS rebinding) never gets there.

    The first request goes to the public address that was checked. A further connection asks
    and checks again, and is refused: no answer is ever used unchecked.
    """
    around.public.add(b"RIFF" + bytes(100_000), "/a.mp3")
    around.public.habits.ranges = False  # a second request, on a connection of its own
    around.public.habits.chunked = True
    with pytest.raises(LongformError) as caught:
        asyncio.run(
            open_source.fn("http://rebinding.example/a.mp3", source_policy(Settings()), tmp_path)
        )
    assert isinstance(caught.value, SourceRefusedError)
    assert around.internet.lookups["rebinding.example"] == 2
    assert len(around.public.requests) == 1


async def test_one_connection_asks_once(around: Surroundings) -> None:
    """Checking and connecting share one resolution."""
    stream = await CheckedBackend(source_policy(Settings())).connect_tcp("rebinding.example", 80)
    await stream.aclose()
    assert around.internet.lookups["rebinding.example"] == 1


def test_the_traps_catch(around: Surroundings, tmp_path: Path) -> None:
    """With permission the same addresses do reach the trap: what counts zero can count."""
    policy = source_policy(Settings(allow_private_hosts=True)).model_copy(
        update={"stall_timeout_sec": 0.3, "max_attempts": 1}
    )
    reached = 0
    for spelling in ("127.0.0.1", "127.1", "0x7f000001", "0", "loopback.example"):
        url = f"http://{spelling}:{around.listening.port}/a.mp3"
        with pytest.raises(LongformError):
            asyncio.run(open_source.fn(url, policy, tmp_path))
        reached += around.listening.callers()
    assert reached == len(around.internet.outsiders) == 5
    around.internet.outsiders.clear()
    around.secret.read_bytes()
    assert around.files.openings() == 1
