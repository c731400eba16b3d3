"""Who is let in: those who send one of the keys as a bearer token."""

import hmac
from collections.abc import Sequence

from starlette.requests import Request

from longform.serving.api_error import ApiError


def require_key(request: Request, keys: Sequence[str]) -> None:
    """Check the key of a request; everybody is let in where no keys are set.

    Every key is compared in full, so that the time taken says nothing about any of them.

    Raises:
        ApiError: 401.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    # Headers are bytes, which the framework shows as Latin-1.
    given = token.strip().encode("latin-1") if scheme.casefold() == "bearer" else b""
    matches = [hmac.compare_digest(given, key.encode()) for key in keys]
    if keys and not any(matches):
        wrong = "the API key is not one of this service's" if given else "no API key was sent"
        raise ApiError(
            401,
            "invalid_api_key",
            f"{wrong}: send it as `Authorization: Bearer KEY`",
            headers={"WWW-Authenticate": "Bearer"},
        )
