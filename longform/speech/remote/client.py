"""HTTP to a model service: one connection pool, retries, and its answers as our errors."""

import time
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from longform import __version__
from longform.errors import (
    EngineUnavailableError,
    EnvironmentFaultError,
    LongformError,
    ParameterError,
    ServiceRefusedError,
    UnknownModelError,
)
from longform.net.backoff import parse_retry_after, pause_sec

CONNECT_TIMEOUT_SEC = 10.0
# A chunk may wait in the service's queue behind those of every other worker.
ANSWER_TIMEOUT_SEC = 600.0
MAX_ATTEMPTS = 6
BACKOFF_BASE_SEC = 0.5
BACKOFF_MAX_SEC = 30.0
MESSAGE_CHARACTERS = 300  # of a service's own words, in a message of ours

_FINAL: Mapping[int, type[LongformError]] = {
    401: EnvironmentFaultError,
    403: EnvironmentFaultError,
    404: UnknownModelError,
}
# Over the time limit of a service: the same request would run into it again and again.
_TIME_LIMIT = 504


def service_url(url: str | None) -> str:
    """Return the base address of a service's API, ending in `/v1`.

    Raises:
        ParameterError: none was given, or it is no plain http(s) address.
    """
    if not url:
        raise ParameterError(
            "engine: the engine 'remote' needs --engine-url or LONGFORM_ENGINE_URL "
            "(http://host:8000)"
        )
    parts = urlsplit(url)
    plain = parts.scheme in ("http", "https") and parts.hostname
    if not plain or parts.username or parts.password or parts.query or parts.fragment:
        raise ParameterError(
            "engine_url: give http(s)://host:port, without user, password and query; "
            "a key belongs into LONGFORM_ENGINE_API_KEY"
        )
    base = url.rstrip("/")
    return base if base.endswith("/v1") else f"{base}/v1"


class ServiceClient:
    """Asks one service; safe to use from many threads at once.

    Args:
        url: base address, ending in `/v1`.
        key: sent as a bearer token; never shown.
        max_connections: most requests at a time.
        max_attempts: tries of a request that fails in a way that may pass.
    """

    def __init__(
        self,
        url: str,
        key: SecretStr | None,
        max_connections: int = 1,
        max_attempts: int = MAX_ATTEMPTS,
    ) -> None:
        self.url = url
        self._max_attempts = max_attempts
        headers = {"User-Agent": f"longform/{__version__}"}
        if key is not None and key.get_secret_value():
            headers["Authorization"] = f"Bearer {key.get_secret_value()}"
        self._http = httpx.Client(
            base_url=f"{url}/",
            headers=headers,
            timeout=httpx.Timeout(ANSWER_TIMEOUT_SEC, connect=CONNECT_TIMEOUT_SEC),
            limits=httpx.Limits(max_connections=max_connections),
            # No proxy and no .netrc: audio and key go to the address that was given, only.
            trust_env=False,
        )

    def get(self, path: str) -> dict[str, Any]:
        """Return the document at `path`; see `post`."""
        return self._ask("GET", path)

    def post(
        self, path: str, data: dict[str, Any], files: dict[str, tuple[str, bytes, str]]
    ) -> dict[str, Any]:
        """Send a form and return the document that answers it.

        Raises:
            EngineUnavailableError: it failed, refused for now, or could not be reached.
            EnvironmentFaultError: the key is wrong.
            UnknownModelError: no such model there.
            ServiceRefusedError: any other refusal.
        """
        return self._ask("POST", path, data=data, files=files)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _ask(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        for attempt in range(1, self._max_attempts + 1):
            asked_pause: float | None = None
            cause: httpx.TransportError | None = None
            try:
                response = self._http.request(method, path, **content)
            except httpx.ReadTimeout as error:
                # It has the request, and may be at it: another would make it later still.
                raise EngineUnavailableError(
                    f"the model service at {self.url} did not answer within "
                    f"{ANSWER_TIMEOUT_SEC:.0f} s: look at its queue in /metrics"
                ) from error
            except httpx.TransportError as error:
                cause = error
                failure = f"cannot be reached ({type(error).__name__}): start it, or check its URL"
            else:
                if response.status_code < 400:
                    return self._document(response)
                if not _may_pass(response.status_code):
                    raise self._refusal(response)
                failure = f"answers {response.status_code}: {_reason(response)[0]}"
                asked_pause = parse_retry_after(response.headers.get("retry-after"))
            if attempt < self._max_attempts:
                time.sleep(pause_sec(attempt, BACKOFF_BASE_SEC, BACKOFF_MAX_SEC, asked_pause))
        raise EngineUnavailableError(f"the model service at {self.url} {failure}") from cause

    def _document(self, response: httpx.Response) -> dict[str, Any]:
        try:
            document = response.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise EnvironmentFaultError(
                f"{self.url} is not a model service: its answer is not a JSON object"
            )
        return cast("dict[str, Any]", document)

    def _refusal(self, response: httpx.Response) -> LongformError:
        status = response.status_code
        reason, param = _reason(response)
        kind = _FINAL.get(status)
        if kind is EnvironmentFaultError:
            return kind(
                f"the model service at {self.url} refuses this key ({status}): set "
                "LONGFORM_ENGINE_API_KEY to one of its keys, on every worker"
            )
        message = f"the model service at {self.url} refuses ({status}): {reason}"
        return kind(message) if kind else ServiceRefusedError(message, status, param)


def _may_pass(status: int) -> bool:
    return status in (408, 429) or (status >= 500 and status != _TIME_LIMIT)


def _reason(response: httpx.Response) -> tuple[str, str | None]:
    """Return what a service says is wrong, as one line, and the parameter that it names."""
    try:
        error = response.json()["error"]
        message, param = error["message"], error.get("param")
    except (ValueError, KeyError, TypeError, AttributeError):
        message, param = response.text, None
    line = " ".join(str(message).split())[:MESSAGE_CHARACTERS]
    return line or response.reason_phrase, str(param) if param else None
