"""Stage `attach`: the recording for the HTML page, inside it when small, as a link otherwise."""

from longform.errors import RetryableError, SourceError
from longform.media.gateway.gateway import serve
from longform.media.model import Recording
from longform.net.policy import scheme_of
from longform.transcript.page_material import EMBED_BYTES, NO_MEDIA, PageMedia, playable_mime


async def attach_recording(recording: Recording) -> PageMedia:
    """Return how a page gets at a recording; readers choose the file where it cannot."""
    source = recording.source
    mime = playable_mime(source.name, has_video=recording.media.has_video)
    if not mime:
        return NO_MEDIA
    if source.length_bytes > EMBED_BYTES:
        return PageMedia(mime=mime, href=_link(recording))
    try:
        async with serve(source, recording.policy) as served:
            return PageMedia(mime=mime, content=await served.read(0, source.length_bytes))
    except (SourceError, RetryableError):
        # The transcript is done: a source that has gone since then must not take it away.
        return NO_MEDIA


def _link(recording: Recording) -> str:
    """Return an address that holds no secret: of a signed one the bare form would be refused."""
    source = recording.source
    is_open = scheme_of(source.shown) in ("", "http", "https") and source.url == source.shown
    return source.shown if is_open else ""
