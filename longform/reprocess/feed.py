"""The episodes of a podcast feed: RSS or Atom, with audio or video enclosed."""

import asyncio
import re
from collections.abc import Mapping
from io import BytesIO
from typing import Any
from urllib.parse import urljoin

from longform.errors import ParameterError
from longform.net.policy import redact, shown_name
from longform.reprocess.documents import FetchContext, read_document, refusal
from longform.reprocess.entry import Entry

MEDIA_TYPES = ("audio/", "video/")
_MEDIA_NAME = re.compile(r"\.(mp3|m4a|m4b|mp4|m4v|mov|aac|ogg|oga|opus|flac|wav|webm)$", re.I)
_CLOCK = re.compile(r"(?:(\d+):)?(?:(\d{1,3}):)?(\d+)(?:\.\d*)?$")


class Feed:
    """A feed at a URL or a path. Its episodes lie on the web, whatever it says."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def entries(self, fetch: FetchContext) -> list[Entry]:
        """Return the episodes in the feed's order, which is the newest first by custom.

        Raises:
            SourceError, RetryableError: from `read_document`.
            ParameterError: it is no feed, or one without episodes.
        """
        content = await read_document(self._url, fetch)
        return await asyncio.to_thread(parse_feed, content, self._url)


def parse_feed(content: bytes, url: str) -> list[Entry]:
    """Return the episodes of a feed; what cannot be played is left out.

    Raises:
        ParameterError: it is no feed, or one without episodes.
    """
    import feedparser

    # As a file: text and bytes it would take for a name to open. The cleaning of HTML is
    # left out, since no text of a feed is shown as HTML here.
    feed: Any = feedparser.parse(BytesIO(content), sanitize_html=False, resolve_relative_uris=False)
    if not feed.get("version"):
        raise ParameterError(
            f"{redact(url)} is not a podcast feed; give the address of RSS or Atom"
        )
    base = url if url.lower().startswith(("http://", "https://")) else ""
    found = (_entry(episode, base) for episode in feed.entries)
    episodes = [entry for entry in found if entry is not None]
    if not episodes:
        raise ParameterError(f"{redact(url)} has no episode with audio or video")
    return episodes


def _entry(episode: Mapping[str, Any], base: str) -> Entry | None:
    """Return the first enclosure of an episode that can be played."""
    enclosed = [*episode.get("enclosures", ()), *episode.get("media_content", ())]
    for enclosure in enclosed:
        address = str(enclosure.get("href") or enclosure.get("url") or "").strip()
        if address and _is_media(str(enclosure.get("type") or ""), address):
            media_url = urljoin(base, address)
            return Entry(
                media_url=media_url,
                # An address may carry a counter or a signature; a guid is for good.
                key=str(episode.get("id") or "") or None,
                known_sec=_seconds(str(episode.get("itunes_duration") or "")),
                problem=refusal(media_url, "https://"),
            )
    return None


def _is_media(kind: str, address: str) -> bool:
    if kind:
        return kind.lower().startswith(MEDIA_TYPES)
    return _MEDIA_NAME.search(shown_name(address)) is not None


def _seconds(text: str) -> float | None:
    """Return the seconds of `5025`, `83:45` or `1:23:45`."""
    found = _CLOCK.match(text.strip())
    if found is None:
        return None
    given = [int(part) for part in found.groups() if part]
    return float(sum(part * 60**place for place, part in enumerate(reversed(given))))
