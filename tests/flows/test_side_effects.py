"""A program that awaits a flow finds its own process as it was."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prefect.settings import get_current_settings
from prefect.variables import Variable

from infra.settings_variable import VARIABLE
from tests.conftest import REPO_ROOT, WELCOME
from tests.flows.conftest import Stage

pytestmark = pytest.mark.server

PROGRAM = """
import asyncio, atexit, gc, logging, os, signal, sys

from flows.transcribe import transcribe
from longform.errors import NotMediaError

atexit.register(lambda: print("frozen", gc.get_freeze_count()))  # is called after all later ones


def process() -> dict[str, object]:
    loggers = {"": logging.getLogger(), **logging.Logger.manager.loggerDict}
    return {
        "gc": gc.get_threshold(),
        "environ": dict(os.environ),
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "filters": {
            name: list(logger.filters)
            for name, logger in loggers.items()
            if getattr(logger, "filters", None) and not name.startswith("prefect")  # its own
        },
    }


async def main() -> None:
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    before = process()
    output = await transcribe(sys.argv[1])
    assert output.segments
    try:
        await transcribe(sys.argv[2])
    except NotMediaError:
        pass
    after = process()
    for name in before:
        print(name, "same" if before[name] == after[name] else (before[name], after[name]))
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(told.wait(), 60)
    print("its own handler is called")


asyncio.run(main())
"""


def test_nothing_of_the_process_is_changed(stage: Stage, tmp_path: Path) -> None:
    """The collector, variables, signal handlers, loggers' filters and the exit stay as they are.

    A Prefect variable with settings is in force all the same.
    """
    broken = tmp_path / "notes.flac"
    broken.write_text("only words\n" * 50)
    api = {"PREFECT_API_URL": str(get_current_settings().api.url)}
    Variable.set(VARIABLE, {"output_dir": str(tmp_path / "out")})
    try:
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM, WELCOME, broken],
            env=os.environ | api | {"PYTHONPATH": str(REPO_ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        Variable.unset(VARIABLE)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [
        "gc same",
        "environ same",
        "signals same",
        "filters same",
        "its own handler is called",
        "frozen 0",
    ]
    assert (tmp_path / "out" / f"{WELCOME.stem}.json").exists()
