"""What Prefect remembers of the tasks of a flow run, and for how long."""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.context import FlowRunContext


@contextmanager
def forgetting_results() -> Iterator[None]:
    """Let Prefect remember results of tasks for no longer than the context lasts.

    To find what depends on what, it keeps the state of every task that was called, with what
    the task returned, until the flow run ends: every transcript of a bulk run.
    """
    run = FlowRunContext.get()
    if run is None:
        yield
        return
    with run.model_copy(update={"run_results": {}, "task_run_assets": {}}):
        yield
