"""The address book: what is stored of a signed URL, and who can read it."""

import pickle
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longform.errors import SourceExpiredError
from longform.media.sources import signed_urls
from longform.media.sources.signed_urls import (
    Credential,
    credential_for,
    is_sealed,
    register,
    replace,
    resolve,
    seal,
)
from longform.net.policy import redact, scheme_of, shown_name
from tests.conftest import REPO_ROOT

SIGNED = "https://user:pass@host.example:8443/a/My%20Talk.m4a?sig=SECRET&x=1#frag"
WORDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=6, max_size=30)


@pytest.mark.parametrize(
    "address",
    [
        "talk.mp3",
        "/a/50% ü?.mp3",
        "/a/b.mp3?sig=1#x",
        "file:///a/b.mp3",
        "https://host/talk.mp3",
        "s3://bucket/a/b.wav",
    ],
)
def test_what_holds_no_secret_stays(address: str) -> None:
    """Paths and plain URLs are stored as they are, and stand for themselves."""
    assert (seal(address), resolve(address), credential_for(address)) == (address, address, None)


@given(secret=WORDS, place=st.sampled_from(["{0}@h/x", "h/x?{0}", "h/x?a={0}", "h/x#{0}"]))
def test_a_sealed_form_holds_no_secret(secret: str, place: str) -> None:
    """Wherever a URL carries a secret, its sealed form and everything shown do not."""
    full = "https://" + place.format(f"q{secret}")
    sealed = seal(full)
    assert is_sealed(sealed)
    assert secret not in sealed.replace("sealed-", "").partition("#")[0]
    assert secret not in redact(sealed) + shown_name(sealed)
    assert resolve(sealed) == full
    assert seal(sealed) == seal(full) == sealed


def test_a_sealed_form_reads_like_the_address() -> None:
    """Scheme, shown address and name are those of the full address; user and query are gone."""
    sealed = seal(SIGNED)
    assert (scheme_of(sealed), redact(sealed)) == ("https", redact(SIGNED))
    assert shown_name(sealed) == shown_name(SIGNED) == "My Talk.m4a"
    assert not any(part in sealed for part in ("SECRET", "pass", "user", "frag"))


def test_two_signatures_are_two_sealed_forms() -> None:
    """Addresses that differ in their query alone stay apart."""
    one, other = seal("https://h/get?id=1&sig=a"), seal("https://h/get?id=2&sig=a")
    assert one != other
    assert resolve(other).endswith("id=2&sig=a")


def test_an_unknown_sealed_form_is_an_error_that_says_what_to_do() -> None:
    """A sealed form of another process, or of yesterday, is never opened as if it were a URL."""
    with pytest.raises(SourceExpiredError, match="start again with the full link"):
        resolve(f"https://h/talk.mp3#sealed-{'0' * 16}")


@pytest.mark.parametrize(
    "address", [f"https://h/x?sig=s#sealed-{'0' * 16}", f"https://u@h/x#sealed-{'0' * 16}"]
)
def test_a_secret_cannot_hide_behind_a_seal(address: str) -> None:
    """An address that only ends like a sealed form is sealed as any other."""
    assert not is_sealed(address)
    assert address not in seal(address)
    assert "sig=s" not in seal(address)


def test_an_entry_carries_the_address_and_does_not_show_it() -> None:
    """What goes to workers survives pickling; repr and JSON hold no secret."""
    sent = credential_for(seal(SIGNED))
    assert isinstance(sent, Credential)
    assert "SECRET" not in repr(sent) + str(sent) + sent.model_dump_json()
    assert pickle.loads(pickle.dumps(sent)).full.get_secret_value() == SIGNED


def test_another_process_knows_what_it_was_told() -> None:
    """A fresh process cannot resolve a sealed form until it has taken in the entry."""
    sealed = seal(SIGNED)
    script = """
import pickle, sys
from longform.errors import SourceExpiredError
from longform.media.sources import signed_urls
sent = pickle.loads(sys.stdin.buffer.read())
try:
    signed_urls.resolve(sent.sealed)
except SourceExpiredError:
    signed_urls.register(sent)
    print(signed_urls.resolve(sent.sealed), end="")
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=pickle.dumps(credential_for(sealed)),
        capture_output=True,
        cwd=REPO_ROOT,
        check=True,
        timeout=60,
    )
    assert done.stdout.decode() == SIGNED


def test_a_refreshed_address_stays_when_the_old_one_arrives_again() -> None:
    """Later chunks bring the address of the start along; what was refreshed here is newer."""
    sealed = seal("https://h/refreshed?sig=old")
    sent = credential_for(sealed)
    replace(sealed, "https://h/refreshed?sig=new")
    register(sent)
    assert resolve(sealed) == "https://h/refreshed?sig=new"


def test_the_book_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that lives for months forgets the addresses that it used least."""
    monkeypatch.setattr(signed_urls, "MAX_ADDRESSES", 3)
    sealed = [seal(f"https://h/bounded?sig={number}") for number in range(5)]
    assert resolve(sealed[-1]) == "https://h/bounded?sig=4"
    with pytest.raises(SourceExpiredError):
        resolve(sealed[0])
