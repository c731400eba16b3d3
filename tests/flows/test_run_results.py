"""What Prefect notes of results is forgotten with them, and not before."""

import weakref

from prefect.client.schemas.objects import RunType
from prefect.context import FlowRunContext
from prefect.states import Completed
from prefect.utilities.engine import get_state_for_result, link_state_to_task_run_result

from flows.run_results import forget_gone_results


class Result:
    """What a task returns; the states of plain values cannot be told from others' by Prefect."""


def test_results_that_are_gone_are_forgotten() -> None:
    """One that is still at hand keeps its state, with which Prefect draws an arrow."""
    state = Completed()
    with FlowRunContext.model_construct(run_results={}) as context:
        kept = Result()
        link_state_to_task_run_result(state, kept)
        for _ in range(10):
            gone = Result()
            link_state_to_task_run_result(state, (gone, "text"))
        del gone
        before = len(context.run_results)
        forget_gone_results()
        found = get_state_for_result(kept)
        assert before > 1
        assert [*context.run_results] == [id(kept)]
        assert found is not None
        assert (found[0].id, found[1]) == (state.id, RunType.TASK_RUN)
        assert isinstance(context.run_results[id(kept)][2], weakref.ref)


def test_outside_of_a_flow_there_is_nothing_to_forget() -> None:
    """A batch without a run, as tests have it, goes on."""
    forget_gone_results()
