"""The one rule of retrying: only errors that another attempt may heal."""

from typing import Any, TypedDict

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import exponential_backoff

from longform.errors import RetryableError

RETRIES = 3  # further attempts
BACKOFF_FACTOR_SEC = 1.0  # 1, 2, 4 s: short, because a waiting chunk holds its GPU slot
JITTER_FACTOR = 0.5  # spreads the attempts of chunks that failed together


def is_retryable(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Tell whether the failure in `state` may heal by itself."""
    return isinstance(state.data, RetryableError)


class Retrying(TypedDict):
    """Arguments of `@task` that express the rule."""

    retries: int
    retry_delay_seconds: Any
    retry_jitter_factor: float
    retry_condition_fn: Any


retrying = Retrying(
    retries=RETRIES,
    retry_delay_seconds=exponential_backoff(backoff_factor=BACKOFF_FACTOR_SEC),
    retry_jitter_factor=JITTER_FACTOR,
    retry_condition_fn=is_retryable,
)
