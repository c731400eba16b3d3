"""What an exception of an engine says: try again, or report a bug."""

from longform.errors import EngineUnavailableError, InvariantError, LongformError


def typed(error: BaseException) -> LongformError:
    """Return `error` as one of ours: what machines do may pass, what code does is a bug."""
    if isinstance(error, LongformError):
        return error
    may_pass = isinstance(error, RuntimeError | MemoryError | OSError)
    kind = EngineUnavailableError if may_pass else InvariantError
    detail = " ".join(str(error).split())
    failure = kind(f"the speech engine failed: {type(error).__name__}: {detail}")
    failure.__cause__ = error
    return failure
