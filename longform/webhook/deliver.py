"""Stage `webhook`: one signed POST, tried again while the receiver may still take it."""

import asyncio
import time
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from longform.errors import (
    AddressDeniedError,
    TooManyRequestsError,
    WebhookRefusedError,
    WebhookUnavailableError,
)
from longform.net.backoff import Backoff
from longform.net.http_errors import asked_pause_sec, translated_errors
from longform.net.policy import SourcePolicy, redact
from longform.net.safe_http import make_client
from longform.params import FrozenModel
from longform.webhook.event import WebhookEvent
from longform.webhook.signature import parse_keys, signed_headers

ANSWER_TIMEOUT_SEC = 15.0  # as the scheme advises receivers to answer within
MAX_ATTEMPTS = 6  # with pauses of 1, 2, 4, 8, 16 s between them: a receiver may restart meanwhile
BACKOFF_BASE_SEC = 0.5


class WebhookTarget(FrozenModel):
    """Where webhooks go and what signs them; both may be secrets."""

    url: SecretStr
    signing_keys: SecretStr | None
    allow_private_hosts: bool = False
    backoff_base_sec: float = BACKOFF_BASE_SEC

    @property
    def shown(self) -> str:
        """The host alone: a path may hold the permission to send there."""
        address = redact(self.url.get_secret_value())
        parts = urlsplit(address)
        return f"the webhook at {parts.scheme}://{parts.netloc}"

    @property
    def policy(self) -> SourcePolicy:
        """The address policy of sources, with the backoff that suits a small request."""
        return SourcePolicy(
            allow_private_hosts=self.allow_private_hosts,
            stall_timeout_sec=ANSWER_TIMEOUT_SEC,
            max_attempts=MAX_ATTEMPTS,
            backoff_base_sec=self.backoff_base_sec,
        )


async def deliver(event: WebhookEvent, target: WebhookTarget) -> None:
    """Send an event; return when the receiver has taken it.

    Every try has the same id and body, so that a receiver can drop what it has had before.

    Raises:
        ParameterError: there is no key to sign with.
        WebhookRefusedError: the receiver, or the address policy, will never take it.
        RetryableError: it did not take it in any of the tries.
    """
    keys = parse_keys(target.signing_keys)
    body = event.body()
    async with make_client(target.policy) as client:

        async def attempt() -> None:
            headers = signed_headers(keys, event.id, int(time.time()), body)
            await _post(client, target, {**headers}, body)

        await Backoff(target.policy).call(attempt)


async def _post(
    client: httpx.AsyncClient, target: WebhookTarget, headers: dict[str, str], body: bytes
) -> None:
    url = target.url.get_secret_value()
    limit_sec = target.policy.connect_timeout_sec + ANSWER_TIMEOUT_SEC
    try:
        with translated_errors(target.shown):
            # A receiver whose headers drip would hold the run for ever; its body is not read.
            async with (
                asyncio.timeout(limit_sec),
                client.stream(
                    "POST",
                    url,
                    content=body,
                    headers={"Content-Type": "application/json"} | headers,
                ) as response,
            ):
                _require_taken(response, target.shown)
    except AddressDeniedError as error:
        reason = str(error).partition("; ")[0]
        raise WebhookRefusedError(
            f"{reason}; LONGFORM_WEBHOOK_ALLOW_PRIVATE_HOSTS permits it for webhooks"
        ) from error


def _require_taken(response: httpx.Response, shown: str) -> None:
    status = response.status_code
    if 200 <= status < 300:
        return
    if status == 429:
        throttled = TooManyRequestsError(f"{shown} asks for fewer requests (429); try later")
        throttled.retry_after_sec = asked_pause_sec(response)
        raise throttled
    if status in (408, 425) or status >= 500:
        raise WebhookUnavailableError(f"{shown} answers {status}; look at its log")
    what = "redirects, which is not followed" if 300 <= status < 400 else "does not take it"
    raise WebhookRefusedError(f"{shown} {what} ({status}); check LONGFORM_WEBHOOK_URL and its key")
