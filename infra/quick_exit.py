"""Processes that end when they are done, without taking apart what they have imported."""

import atexit
import gc
from functools import cache


@cache
def quick_exit() -> None:
    """Have this process end at once when it ends.

    Python looks for cycles among all its objects before it ends, which takes half a second for the
    modules of Prefect and Dask. Frozen objects are not looked at.
    """
    atexit.register(gc.freeze)
