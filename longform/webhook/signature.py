"""Signatures after the Standard Webhooks scheme, version v1 (https://www.standardwebhooks.com)."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pydantic import SecretStr
from standardwebhooks import Webhook

from longform.errors import ParameterError

KEY_PREFIX = "whsec_"
MIN_KEY_BYTES, MAX_KEY_BYTES = 24, 64


def parse_keys(text: SecretStr | None) -> tuple[Webhook, ...]:
    """Return what signs with the keys in a setting: `whsec_<base64>`, separated by spaces.

    While keys are changed over, a receiver finds the signature of the one that it knows.

    Raises:
        ParameterError: there is none, or one is no key; the message does not repeat it.
    """
    words = text.get_secret_value().split() if text else []
    if not words:
        raise ParameterError(
            "LONGFORM_WEBHOOK_URL is set but LONGFORM_WEBHOOK_SECRET is not: give the key "
            "(whsec_...) with which the receiver checks the signature"
        )
    return tuple(map(_signer, words))


def signed_headers(
    keys: Sequence[Webhook], message_id: str, timestamp_unix_sec: int, body: bytes
) -> Mapping[str, str]:
    """Return the headers that go with a body: its id, the time of sending, a signature per key."""
    sent_at, text = datetime.fromtimestamp(timestamp_unix_sec, UTC), body.decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_unix_sec),
        "webhook-signature": " ".join(key.sign(message_id, sent_at, text) for key in keys),
    }


def _signer(word: str) -> Webhook:
    # The library takes any base64; a key that is too short is worse than none.
    try:
        key = base64.b64decode(word.removeprefix(KEY_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not word.startswith(KEY_PREFIX) or not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise ParameterError(
            f"LONGFORM_WEBHOOK_SECRET: give {KEY_PREFIX} and {MIN_KEY_BYTES} to {MAX_KEY_BYTES} "
            "bytes in base64; several keys are separated by spaces"
        )
    return Webhook(word)
