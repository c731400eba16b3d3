"""Stage `webhook`: tell somebody else that a run has ended.

The domain retries by itself: a run must not wait for a receiver twice over.
"""

from prefect import task
from prefect.cache_policies import NO_CACHE

from longform.webhook import deliver as domain
from longform.webhook.deliver import WebhookTarget
from longform.webhook.event import WebhookEvent


@task(name="webhook", task_run_name="webhook {event.type}", cache_policy=NO_CACHE)
async def deliver(event: WebhookEvent, target: WebhookTarget) -> None:
    """Send a signed event."""
    await domain.deliver(event, target)
