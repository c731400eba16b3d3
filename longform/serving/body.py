"""The body of a request as it comes in: bounded in bytes, in patience, and at its end."""

import asyncio
import time
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from longform.serving.api_error import ApiError
from longform.serving.service_settings import MIB, ServiceSettings

FORM_BYTES = MIB  # what a form may hold beside its file
# A client that is refused is read on for a while: one whose connection is closed while it
# still sends would see that, and not the answer.
DISCARD_BYTES = 64 * MIB
DISCARD_SEC = 2.0


class Body:
    """Reads one request's body; nothing is read before it is asked for."""

    def __init__(self, request: Request, settings: ServiceSettings) -> None:
        self._receive = request.receive
        self._settings = settings
        self._max_bytes = settings.max_upload_bytes + FORM_BYTES
        self._declared = request.headers.get("content-length", "")
        # Asked for by the reading of the body, which a refusal must not do.
        self._waits_for_leave = "expect" in request.headers
        self.complete = False

    def require_fitting(self) -> None:
        """Refuse a body that says beforehand that it is too large.

        Raises:
            ApiError: 413.
        """
        if self._declared.isdigit() and int(self._declared) > self._max_bytes:
            raise self._too_large()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes.

        Raises:
            ApiError: 413 over the limit; 408 where it stalls or trickles.
            ClientDisconnect: the client has gone.
        """
        started, num_bytes = time.monotonic(), 0
        while not self.complete:
            part = await self._next()
            num_bytes += len(part)
            if num_bytes > self._max_bytes:
                raise self._too_large()
            self._require_speed(num_bytes, time.monotonic() - started)
            if part:
                yield part

    async def discard(self) -> None:
        """Read on for a while, so that a client that is still sending hears the answer."""
        if self._waits_for_leave:
            return
        left = DISCARD_BYTES
        try:
            async with asyncio.timeout(DISCARD_SEC):
                while not self.complete and left > 0:
                    left -= len(await self._next())
        except (TimeoutError, ApiError, ClientDisconnect):
            return

    async def gone(self) -> None:
        """Return when the client has closed the connection; the body must be complete."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _next(self) -> bytes:
        try:
            async with asyncio.timeout(self._settings.upload_stall_sec):
                message = await self._receive()
        except TimeoutError as error:
            raise _too_slow("stopped sending") from error
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        self.complete = not message.get("more_body", False)
        part: bytes = message.get("body", b"")
        return part

    def _require_speed(self, num_bytes: int, elapsed_sec: float) -> None:
        grace_sec = self._settings.upload_stall_sec
        if self.complete or elapsed_sec <= grace_sec:
            return
        if num_bytes < elapsed_sec * self._settings.min_upload_bytes_per_sec:
            raise _too_slow("is too slow")

    def _too_large(self) -> ApiError:
        return ApiError(
            413,
            "file_too_large",
            f"the upload is larger than {self._settings.max_upload_mb} MiB, the most that this "
            "service takes: compress or cut the recording",
            param="file",
        )


def _too_slow(what: str) -> ApiError:
    return ApiError(408, "upload_too_slow", f"the upload {what}: send it again, faster")
