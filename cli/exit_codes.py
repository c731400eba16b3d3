"""What the `longform` command exits with, by the kind of error."""

from longform.errors import (
    EngineUnavailableError,
    IncompleteTranscriptError,
    LongformError,
    OutputError,
    ParameterError,
    RetryableError,
    SourceError,
)

COMPLETE = 0
FAILED = 1  # anything that has no code of its own
USAGE = 2
SOURCE = 3
INCOMPLETE = 4
INTERRUPTED = 130  # 128 + SIGINT, as shells expect
TERMINATED = 143  # 128 + SIGTERM

_CODES: tuple[tuple[type[LongformError], int], ...] = (
    (ParameterError, USAGE),
    (OutputError, USAGE),
    (SourceError, SOURCE),
    (EngineUnavailableError, FAILED),
    (RetryableError, SOURCE),  # every other one is a source that stayed out of reach
    (IncompleteTranscriptError, INCOMPLETE),
)


def exit_code(error: LongformError) -> int:
    """Return the exit code that goes with `error`."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)
