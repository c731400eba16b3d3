"""Secrets that the Prefect server keeps for every machine, as blocks of the type Secret."""

from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from pydantic import SecretStr

from longform.settings import Settings
from longform.webhook.deliver import WebhookTarget

SECRET_TYPE = "secret"  # the slug of Prefect's block type
WEBHOOK_URL = "longform-webhook-url"
WEBHOOK_KEY = "longform-webhook-key"


async def read_secret(name: str) -> SecretStr | None:
    """Return the secret of that name, or None where the server has none."""
    try:
        async with get_client() as api:
            document = await api.read_block_document_by_name(name, SECRET_TYPE)
    except ObjectNotFound:
        return None
    return SecretStr(str(document.data["value"]))


async def webhook_target(settings: Settings) -> WebhookTarget | None:
    """Return where webhooks go: as this machine is set up, else as the server's blocks say."""
    url = settings.webhook_url or await read_secret(WEBHOOK_URL)
    if url is None:
        return None
    return WebhookTarget(
        url=url,
        signing_keys=settings.webhook_secret or await read_secret(WEBHOOK_KEY),
        allow_private_hosts=settings.webhook_allow_private_hosts,
    )
