"""Parameters of tasks that Prefect hands on as they are."""

from typing import TypeVar, cast

from prefect.utilities.annotations import quote

T = TypeVar("T")


def unsearched(value: T) -> T:
    """Mark a large parameter of a task; the task is given the value itself.

    Prefect looks for futures in every word of a transcript otherwise, twice for each task.
    """
    return cast(T, quote(value))
