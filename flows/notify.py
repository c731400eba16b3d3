"""The flow `notify`: tells the webhook the end of a run that could not do so itself."""

from uuid import UUID

from prefect import flow
from prefect.client.orchestration import get_client

from flows.webhook import ENDS, event_of
from infra.secret_blocks import webhook_target
from longform.errors import EnvironmentFaultError
from longform.settings import Settings
from tasks.webhook import deliver

RETRIES, RETRY_DELAY_SEC = 5, 60  # beside those of one delivery, which end after half a minute


@flow(name="notify", retries=RETRIES, retry_delay_seconds=RETRY_DELAY_SEC, persist_result=False)
async def notify(
    flow_run_id: UUID,
) -> None:
    """Send the event of a run that has ended; it has the id of the one that the run itself sends.

    Args:
        flow_run_id: The run whose end is to be told.

    Raises:
        EnvironmentFaultError: no webhook is set up.
        LongformError: the webhook does not take it.
    """
    target = await webhook_target(Settings())
    if target is None:
        raise EnvironmentFaultError(
            "no webhook is set up: set LONGFORM_WEBHOOK_URL and LONGFORM_WEBHOOK_SECRET and run "
            "`longform deploy`, or pause the automation `longform: tell of failed runs`"
        )
    async with get_client() as api:
        run = await api.read_flow_run(flow_run_id)
        ended = await api.read_flow(run.flow_id)
    if run.state is not None and run.state.type in ENDS:
        await deliver(event_of(ended.name, run, run.state), target)
