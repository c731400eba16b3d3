"""Webhooks over real sockets: the signature holds, and only what may pass is tried again."""

import base64
import json
import secrets
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError

from longform.errors import (
    ConnectionCutError,
    ParameterError,
    RetryableError,
    ServerUnreachableError,
    WebhookRefusedError,
)
from longform.webhook.deliver import MAX_ATTEMPTS, WebhookTarget, deliver
from longform.webhook.event import RunEnded, WebhookEvent
from longform.webhook.signature import parse_keys
from tests.support.webhook_receiver import Receiver, webhook_receiver

EVENT = WebhookEvent(
    type="transcription.completed",
    timestamp=datetime(2026, 3, 1, 2, 0, tzinfo=UTC),
    data=RunEnded(
        run_id="7", run_name="transcribe tälk.mp3", attempt=1, status="complete", files=("a.srt",)
    ),
)


def as_key(content: bytes) -> str:
    """Return a key as the scheme writes it."""
    return "whsec_" + base64.b64encode(content).decode()


def new_key() -> str:
    """Return a key that no receiver has."""
    return as_key(secrets.token_bytes(32))


KEY = as_key(bytes(range(32)))  # always the same: names of tests are made of it


def target(receiver: Receiver, keys: str = KEY) -> WebhookTarget:
    """Return where the test's events go, without pauses between tries."""
    return WebhookTarget(
        url=SecretStr(receiver.url),
        signing_keys=SecretStr(keys),
        allow_private_hosts=True,
        backoff_base_sec=0.0,
    )


async def test_the_official_library_verifies_it() -> None:
    """The signature is right over the very bytes sent, and holds no more once one is changed."""
    with webhook_receiver() as receiver:
        await deliver(EVENT, target(receiver))
    (request,) = receiver.received
    verified = Webhook(KEY).verify(request.body, request.headers)
    assert verified == json.loads(EVENT.body())
    assert verified["data"]["run_name"] == "transcribe tälk.mp3"
    assert request.headers["webhook-id"] == EVENT.id
    assert request.headers["Content-Type"] == "application/json"
    with pytest.raises(WebhookVerificationError):
        Webhook(KEY).verify(request.body.replace(b"complete", b"finished"), request.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_key()).verify(request.body, request.headers)


async def test_keys_can_be_changed_over() -> None:
    """With two keys, a receiver that knows only one of them verifies, whichever it is."""
    old, new = new_key(), new_key()
    with webhook_receiver() as receiver:
        await deliver(EVENT, target(receiver, f"{new} {old}"))
    (request,) = receiver.received
    for key in (old, new):
        Webhook(key).verify(request.body, request.headers)


@pytest.mark.parametrize("answer", [408, 425, 429, 500, 501, 502, 503, 504, None])
async def test_it_is_tried_again(answer: int | None) -> None:
    """What may pass is tried again with the same id and body, until the receiver takes it."""
    with webhook_receiver(answer, answer) as receiver:
        await deliver(EVENT, target(receiver))
    assert len(receiver.received) == 3
    assert {(each.headers["webhook-id"], each.body) for each in receiver.received} == {
        (EVENT.id, EVENT.body())
    }
    Webhook(KEY).verify(receiver.received[-1].body, receiver.received[-1].headers)


@pytest.mark.parametrize("answer", [400, 401, 404, 410, 413, 422])
async def test_a_refusal_is_final(answer: int) -> None:
    """A receiver that will never take it is asked once; the message hides the path."""
    refused = pytest.raises(WebhookRefusedError, match=f"\\({answer}\\)")
    with webhook_receiver(answer) as receiver, refused as raised:
        await deliver(EVENT, target(receiver))
    assert len(receiver.received) == 1
    assert "token" not in str(raised.value)


async def test_no_redirect_is_followed() -> None:
    """A signed event goes to the address that was set, and to no other."""
    with (
        webhook_receiver() as other,
        webhook_receiver((307, {"Location": other.url})) as receiver,
        pytest.raises(WebhookRefusedError, match="redirects"),
    ):
        await deliver(EVENT, target(receiver))
    assert (len(receiver.received), len(other.received)) == (1, 0)


async def test_patience_ends() -> None:
    """A receiver that fails for good is given up, after as many tries as promised."""
    with webhook_receiver(*[None] * 20) as receiver, pytest.raises(ConnectionCutError):
        await deliver(EVENT, target(receiver))
    assert len(receiver.received) == MAX_ATTEMPTS
    with pytest.raises(ServerUnreachableError):
        await deliver(EVENT, target(receiver))  # no process listens there any more


async def test_the_address_policy_applies() -> None:
    """Nothing is sent to a private address unless that is permitted for webhooks."""
    with webhook_receiver() as receiver:
        strict = target(receiver).model_copy(update={"allow_private_hosts": False})
        with pytest.raises(WebhookRefusedError, match="LONGFORM_WEBHOOK_ALLOW_PRIVATE_HOSTS"):
            await deliver(EVENT, strict)
    assert receiver.received == []


@pytest.mark.parametrize(
    "text", ["", "secret", "whsec_", "whsec_c2hvcnQ=", "whsec_***", f"{KEY} other", KEY[6:]]
)
def test_what_is_no_key_is_refused_unseen(text: str) -> None:
    """A key that is missing, short or no base64 is a usage error that does not repeat it."""
    with pytest.raises(ParameterError) as raised:
        parse_keys(SecretStr(text))
    hidden = [word.removeprefix("whsec_") for word in text.split()]
    assert not any(word in str(raised.value) for word in hidden if word)
    assert not isinstance(raised.value, RetryableError)
