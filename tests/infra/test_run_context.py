"""What Prefect remembers of a run's tasks."""

from typing import Any

from prefect.context import FlowRunContext

from infra.run_context import forgetting_results


def test_results_are_forgotten_with_the_context() -> None:
    """What tasks leave in the run inside of it is gone behind it; what was there is still there."""
    kept: dict[int, Any] = {1: "before"}
    with FlowRunContext.model_construct(run_results=kept, task_run_assets={}) as run:
        with forgetting_results():
            inside = FlowRunContext.get()
            assert inside is not None
            assert inside.run_results == {}
            inside.run_results[2] = "a transcript"
        assert FlowRunContext.get() is run
        assert run.run_results == {1: "before"}


def test_outside_of_a_run_there_is_nothing_to_forget() -> None:
    """Without a flow run it does nothing."""
    with forgetting_results():
        assert FlowRunContext.get() is None
