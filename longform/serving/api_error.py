"""Errors as OpenAI's API tells them: a status, and a document that says what is wrong."""

import json
import math
from collections.abc import Mapping

from starlette.responses import Response

from longform.errors import (
    DecodeInterruptedError,
    EngineUnavailableError,
    LongformError,
    ParameterError,
    SourceError,
    SourceTooLargeError,
    UnknownModelError,
)

INVALID_REQUEST = "invalid_request_error"
SERVER_ERROR = "server_error"


class ApiError(Exception):
    """What a client is told; `code` is for programs, the message for people."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """Return the error as a response."""
        kind = SERVER_ERROR if self.status >= 500 else INVALID_REQUEST
        kind = "rate_limit_error" if self.status == 429 else kind
        error = {"message": str(self), "type": kind, "param": self.param, "code": self.code}
        return Response(
            json.dumps({"error": error}, ensure_ascii=False),
            status_code=self.status,
            headers=self.headers,
            media_type="application/json",
        )


# Status, code and parameter by the kind of error; the first that fits.
_KNOWN: tuple[tuple[type[LongformError], int, str, str | None], ...] = (
    (SourceTooLargeError, 413, "audio_too_long", "file"),
    # The upload lies on this disk in full: what ffmpeg cannot finish is damaged.
    (DecodeInterruptedError, 400, "invalid_audio", "file"),
    (SourceError, 400, "invalid_audio", "file"),
    (UnknownModelError, 404, "model_not_found", "model"),
    (ParameterError, 400, "invalid_value", None),
    (EngineUnavailableError, 503, "engine_unavailable", None),
)


def api_error(error: LongformError) -> ApiError:
    """Return what a client is told about one of our errors."""
    for kind, status, code, param in _KNOWN:
        if isinstance(error, kind):
            headers = retry_after(1.0) if status == 503 else {}
            return ApiError(status, code, str(error), param=param, headers=headers)
    return ApiError(500, "internal_error", f"a fault of this service: {error}")


def retry_after(seconds: float) -> dict[str, str]:
    """Return the header that asks a client to come again after so long, in whole seconds."""
    return {"Retry-After": str(max(1, math.ceil(seconds)))}
