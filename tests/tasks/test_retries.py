"""Which failures are tried again."""

import pytest
from prefect.states import Failed

from longform import errors
from tasks.retries import is_retryable, retrying


@pytest.mark.parametrize("kind", [errors.SourceStalledError, errors.EngineUnavailableError])
def test_errors_that_may_heal_are_retried(kind: type[Exception]) -> None:
    """The branch RetryableError of the tree is exactly what is tried again."""
    assert is_retryable(None, None, Failed(data=kind("later")))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "error",
    [
        errors.SourceChangedError("x"),
        errors.WeightsError("x"),
        errors.InvariantError("x"),
        KeyError(),
    ],
)
def test_other_errors_are_final(error: Exception) -> None:
    """Nothing is retried that would fail the same way again."""
    assert not is_retryable(None, None, Failed(data=error))  # type: ignore[arg-type]


def test_delays_grow_and_are_spread() -> None:
    """The waits double from one second and carry jitter."""
    assert retrying["retry_delay_seconds"](3) == [1.0, 2.0, 4.0]
    assert retrying["retry_jitter_factor"] > 0
