"""What flows return passes Prefect by unseen, and reaches whoever asked for it."""

from typing import Any, cast

import pytest
from prefect import futures
from prefect.states import Completed

from flows.unsearched_flow import unsearched_flow, unsearched_result
from tests.flows.conftest import Stage

pytestmark = pytest.mark.server

WORDS = tuple(f"word{number}" for number in range(1_000))


@unsearched_flow(name="telling")
async def telling(*, with_state: bool) -> tuple[str, ...]:
    """Return words, as they are or as the data of a state."""
    words = unsearched_result(WORDS)
    state: Any = Completed(name="Told", data=words)  # Prefect gives callers its data
    return cast("tuple[str, ...]", state) if with_state else words


@pytest.mark.parametrize("with_state", [False, True])
async def test_the_value_itself_is_returned(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, with_state: bool
) -> None:
    """Neither the caller nor the state's reader sees that it was quoted; no word was looked at."""
    seen: list[object] = []
    collect = futures._collect_futures

    def watch(found: set[object], value: object, context: object) -> object:
        seen.append(value)
        return collect(found, value, context)

    monkeypatch.setattr(futures, "_collect_futures", watch)
    assert await telling(with_state=with_state) == WORDS
    call: Any = telling  # `return_state` is no parameter of the function
    state = await call(with_state=with_state, return_state=True)
    assert await state.aresult() == WORDS
    assert state.name == ("Told" if with_state else "Completed")
    assert not set(WORDS) & {value for value in seen if isinstance(value, str)}
