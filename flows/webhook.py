"""How a run tells its end to a webhook.

`tell_webhook` are hooks of a flow, which Prefect calls once the state is known. The process of the
run calls them; its worker does when the run was killed or cancelled. So both need the settings, or
the secret blocks of the server. For a run that failed an automation starts the flow `notify` as
well, since there may have been no process left to tell it.
"""

from datetime import UTC, datetime
from typing import Any, TypedDict
from uuid import UUID

from prefect import Flow, flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.logging.loggers import flow_run_logger
from prefect.utilities.urls import url_for

from infra.secret_blocks import webhook_target
from infra.settings_variable import load_settings
from longform.errors import (
    BatchFailedError,
    EnvironmentFaultError,
    IncompleteTranscriptError,
    LongformError,
)
from longform.net.policy import shown_name
from longform.reprocess.batch_report import OUTCOMES, BatchReport
from longform.transcript.output import TranscribeOutput
from longform.webhook.event import RunEnded, WebhookEvent, shown_files, shown_message
from tasks.stages import deliver

SUBJECTS = {"transcribe": "transcription"}  # of an event, where it is not the flow's own name

# The end of a run, and its status where the output does not tell more.
ENDS = {
    StateType.COMPLETED: ("completed", "complete"),
    StateType.FAILED: ("failed", "failed"),
    StateType.CRASHED: ("failed", "crashed"),
    StateType.CANCELLING: ("cancelled", "cancelled"),
    StateType.CANCELLED: ("cancelled", "cancelled"),
}


# Of `notify`, beside those of one delivery, which end after half a minute.
RETRIES, RETRY_DELAY_SEC = 5, 60


async def send_webhook(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Tell the end of a run, if it was not called by another run; a failure is only logged."""
    if flow_run.parent_task_run_id is not None:
        return
    target = await webhook_target(await load_settings())
    if target is None:
        return
    try:
        await deliver(event_of(flow.name, flow_run, state), target)
    except LongformError as error:
        flow_run_logger(flow_run, flow).warning("the webhook was not delivered: %s", error)


class WebhookHooks(TypedDict):
    """Arguments of `@flow` that have every end of a run told."""

    on_completion: list[Any]
    on_failure: list[Any]
    on_crashed: list[Any]
    on_cancellation: list[Any]


tell_webhook = WebhookHooks(
    on_completion=[send_webhook],
    on_failure=[send_webhook],
    on_crashed=[send_webhook],
    on_cancellation=[send_webhook],
)


def event_of(flow_name: str, flow_run: FlowRun, state: State[Any]) -> WebhookEvent:
    """Return the event that tells the end of a run."""
    end, status = ENDS[state.type]
    media_url = flow_run.parameters.get("media_url")
    source = shown_name(str(media_url)) if media_url else ""
    facts = {"status": status, "source": source} | _facts(_ended_with(state))
    return WebhookEvent(
        type=f"{SUBJECTS.get(flow_name, flow_name)}.{end}",
        timestamp=state.timestamp or datetime.now(UTC),
        data=RunEnded(
            run_id=str(flow_run.id),
            run_name=shown_message(flow_run.name),
            attempt=max(1, flow_run.run_count),
            message=shown_message(state.message),
            run_url=_run_url(flow_run.id),
            **facts,
        ),
    )


def _facts(ended_with: object) -> dict[str, Any]:
    if isinstance(ended_with, IncompleteTranscriptError):
        return _facts(ended_with.output)
    if isinstance(ended_with, BatchFailedError):
        return _facts(ended_with.report)
    if isinstance(ended_with, BatchReport):
        return _bulk_facts(ended_with)
    if not isinstance(ended_with, TranscribeOutput):
        return {}
    return {
        "status": ended_with.status,
        "source": ended_with.provenance.source_name,
        "input_duration_sec": ended_with.input_duration_sec,
        "processing_duration_sec": ended_with.processing_duration_sec,
        "files": shown_files(ended_with.files),
        "num_files": len(ended_with.files),
    }


def _bulk_facts(report: BatchReport) -> dict[str, Any]:
    counts = {outcome: report.count(outcome) for outcome in OUTCOMES}
    return {
        "status": "incomplete" if report.num_failed or report.stopped else "complete",
        "input_duration_sec": report.cost.audio_sec,
        "processing_duration_sec": report.duration_sec,
        "files": shown_files([report.address] if report.address else []),
        "num_files": len(report.files),
        "outcomes": {outcome: count for outcome, count in counts.items() if count},
    }


def _ended_with(state: State[Any]) -> object:
    """Return what the flow returned or raised, where this is its process; else nothing."""
    return getattr(state.data, "result", state.data)


def _run_url(run_id: UUID) -> str:
    return url_for("flow-run", obj_id=run_id) or ""


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
    target = await webhook_target(await load_settings())
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
