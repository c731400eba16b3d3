"""Podcast feeds, good and hostile."""

import pytest

from longform.errors import ParameterError
from longform.reprocess.feed import parse_feed

URL = "https://example.org/shows/feed.xml"


def rss(items: str, head: str = "") -> bytes:
    """Return a feed of RSS 2.0."""
    return (
        f'<?xml version="1.0"?>{head}<rss version="2.0" '
        'xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd">'
        f"<channel><title>Show</title>{items}</channel></rss>"
    ).encode()


def item(enclosure: str, rest: str = "<guid>1</guid>") -> str:
    """Return an episode."""
    return f"<item><title>One</title>{rest}{enclosure}</item>"


def test_episodes_of_rss() -> None:
    """Audio and video are taken in the feed's order; identity is the guid, not the address."""
    content = rss(
        item(
            '<enclosure url="https://cdn.example/a.mp3?token=1" type="audio/mpeg"/>',
            "<guid>g1</guid><itunes:duration>1:02:03</itunes:duration>",
        )
        + item('<enclosure url="notes.pdf" type="application/pdf"/>')
        + item('<enclosure url="video.mp4" type="video/mp4"/>', "<guid>g2</guid>")
        + item('<enclosure url="/untyped.mp3"/>', "")
    )
    found = parse_feed(content, URL)
    assert [each.media_url for each in found] == [
        "https://cdn.example/a.mp3?token=1",
        "https://example.org/shows/video.mp4",
        "https://example.org/untyped.mp3",
    ]
    assert [each.key for each in found] == ["g1", "g2", None]
    assert found[0].known_sec == 3_723.0
    assert found[0].shown == "https://cdn.example/a.mp3"


def test_episodes_of_atom() -> None:
    """Links of the kind `enclosure` are what an Atom feed has."""
    content = (
        b'<feed xmlns="http://www.w3.org/2005/Atom"><title>Show</title><entry><id>urn:1</id>'
        b'<title>One</title><link rel="alternate" href="https://h/page"/>'
        b'<link rel="enclosure" type="audio/ogg" href="https://h/a.ogg"/></entry></feed>'
    )
    [entry] = parse_feed(content, URL)
    assert (entry.media_url, entry.key) == ("https://h/a.ogg", "urn:1")


@pytest.mark.parametrize("address", ["file:///etc/hosts", "s3://bucket/a.mp3", "/etc/hosts"])
def test_a_feed_reaches_nothing_but_the_web(address: str) -> None:
    """An episode on this machine or in its stores is one that cannot be used."""
    [entry] = parse_feed(rss(item(f'<enclosure url="{address}" type="audio/mpeg"/>')), "/f.xml")
    assert entry.problem is not None


def test_entities_are_not_expanded() -> None:
    """Neither a file of this machine nor a text that grows a billionfold comes out of a feed."""
    laughs = "".join(
        f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' if n else '<!ENTITY l0 "hahahaha">'
        for n in range(12)
    )
    head = f'<!DOCTYPE rss [{laughs}<!ENTITY file SYSTEM "file:///etc/passwd">]>'
    episode = '<enclosure url="https://h/a.mp3" type="audio/mpeg"/>'
    for guid in ("<guid>&l11;</guid>", "<guid>&file;</guid>"):
        [entry] = parse_feed(rss(item(episode, guid), head), URL)
        assert len(entry.key or "") < 100
        assert "root" not in (entry.key or "")


@pytest.mark.parametrize("content", [b"", b"<html><body>Not found</body></html>", b"\x00\xff" * 9])
def test_what_is_no_feed_is_refused(content: bytes) -> None:
    """With one line that says so."""
    with pytest.raises(ParameterError, match="not a podcast feed"):
        parse_feed(content, URL)


def test_a_feed_without_episodes_is_refused() -> None:
    """A blog is a feed as well, and has nothing to transcribe."""
    with pytest.raises(ParameterError, match="no episode"):
        parse_feed(rss("<item><title>Words</title></item>"), URL)
