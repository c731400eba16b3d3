"""Ending at once: nothing is looked through for cycles any more, and what must be done still is."""

import subprocess
import sys

PROGRAM = """
import atexit, gc
from cli.fast_exit import GC_THRESHOLD, tune_garbage_collection
atexit.register(lambda: print("later", gc.get_freeze_count() > 0))
tune_garbage_collection()
print(gc.get_threshold()[0] == GC_THRESHOLD)
atexit.register(lambda: print("earlier", gc.get_freeze_count() > 0))
"""


def test_objects_are_frozen_when_the_process_ends_and_other_endings_run() -> None:
    """Functions that were registered before and after are called; those before find all frozen."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert ended.stdout.split("\n") == ["True", "earlier False", "later True", ""]
    assert ended.stderr == ""
