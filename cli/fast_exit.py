"""What the command wants of Python for its own process: few looks for cycles, and a quick end."""

import atexit
import gc

# New objects before Python looks for cycles. At its 700 it walks through all words of a transcript
# again and again while they come into being, which was two thirds of the time that took.
GC_THRESHOLD = 20_000


def tune_garbage_collection() -> None:
    """Have this process look for cycles seldom, and end at once when it ends.

    Python looks for cycles among all its objects before it ends, which takes half a second for the
    modules of Prefect and Dask. Frozen objects are not looked at.
    """
    gc.set_threshold(GC_THRESHOLD, *gc.get_threshold()[1:])
    atexit.register(gc.freeze)
