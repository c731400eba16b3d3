"""What Prefect keeps of the results of tasks for the length of a flow run: arrows in its graph.

It notes for every task what it returned, part by part, to see later whose input that is. In a run
of thousands of recordings nobody takes most of it again: some 20 KB for each of them.
"""

from prefect.context import FlowRunContext


def forget_gone_results() -> None:
    """Forget the results that nobody has any more, and those of which that cannot be said."""
    context = FlowRunContext.get()
    if context is None:
        return
    noted = context.run_results
    for key, (_, _, still_there) in [*noted.items()]:
        if still_there is None or still_there() is None:
            del noted[key]
