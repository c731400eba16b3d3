"""A model service for tests: in a thread of this process, or as a process of its own."""

import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import httpx

from longform.params import TranscribeParams
from longform.serving.server import Stop, serve
from longform.serving.service_settings import ServiceSettings
from longform.settings import Settings
from tests.support import gated_engine

START_TIMEOUT_SEC = 120.0
KEY = "correct-horse"
REPO_ROOT = Path(__file__).resolve().parents[2]


@dataclass
class RunningService:
    """A service that answers; `url` is its address without `/v1`."""

    url: str
    stop: Stop = lambda: None
    lines: list[str] = field(default_factory=list)

    @property
    def headers(self) -> dict[str, str]:
        """The header with the right key."""
        return {"Authorization": f"Bearer {KEY}"}

    def post(self, content: bytes, path: str = "transcriptions", **fields: str) -> httpx.Response:
        """Send a file and fields; the model is named unless a field does."""
        return httpx.post(
            f"{self.url}/v1/audio/{path}",
            headers=self.headers,
            data={"model": "base"} | fields,
            files={"file": ("audio.wav", content)},
            timeout=120,
            trust_env=False,
        )

    def metric(self, name: str, **labels: str) -> float:
        """Return one sample of `/metrics`; 0 where it has none."""
        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        answer = httpx.get(f"{self.url}/metrics", timeout=120, trust_env=False)
        for line in answer.text.splitlines():
            found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            if found and found[1] == name and wanted <= set((found[2] or "").split(",")):
                return float(found[3])
        return 0.0


@contextmanager
def service_in_thread(
    home: Path, on_line: Callable[[str], None] = lambda line: None, **settings: object
) -> Iterator[RunningService]:
    """Run a service with the gated engine in this process; `settings` are ServiceSettings."""
    lines: queue.Queue[str | None] = queue.Queue()

    def say(line: str) -> None:
        on_line(line)
        lines.put(line)

    stops: list[Stop] = []
    given = {"port": 0, "api_key": KEY, "grace_sec": 30} | settings
    service = ServiceSettings.model_validate(given)
    machine = Settings(home=home, engine=gated_engine.NAME)
    params = TranscribeParams(batch_size=4)

    def run() -> None:
        try:
            serve(service, params, machine, say, stops.append)
        finally:
            lines.put(None)

    thread = threading.Thread(target=run, name="service-under-test")
    thread.start()
    try:
        running = RunningService(address_in(_until(lines, "listening")), stops[0])
        _until(lines, "is loaded")
        yield running
    finally:
        gated_engine.GATE.open()
        for stop in stops:
            # The loop of a service that has ended already takes no calls.
            if thread.is_alive():
                stop()
        thread.join(START_TIMEOUT_SEC)
        assert not thread.is_alive(), "the service did not stop"


@contextmanager
def service_process(
    home: Path, *options: str, **environment: str
) -> Iterator[tuple[RunningService, subprocess.Popen[str]]]:
    """Run `longform serve-model` as a user does; it is ended at the end if it still runs."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("PREFECT_", "LONGFORM_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "serve-model", "--port", "0", *options],
        env=kept
        | {
            "LONGFORM_HOME": str(home),
            "LONGFORM_SERVICE_API_KEY": KEY,
            "PYTHONPATH": str(REPO_ROOT),
        }
        | environment,
        cwd=home,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    lines: queue.Queue[str | None] = queue.Queue()
    reader = threading.Thread(target=_pass_on, args=(process.stderr, lines))
    reader.start()
    try:
        running = RunningService(address_in(_until(lines, "listening")))
        _until(lines, "is loaded")
        yield running, process
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stderr.close()


def _pass_on(stream: IO[str], lines: "queue.Queue[str | None]") -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _until(lines: "queue.Queue[str | None]", word: str) -> str:
    seen = []
    while (line := lines.get(timeout=START_TIMEOUT_SEC)) is not None:
        if word in line:
            return line
        seen.append(line)
    raise AssertionError(f"the service ended without saying {word!r}: {seen}")


def address_in(line: str) -> str:
    """Return the address, without `/v1`, in what a service says when it listens."""
    found = re.search(r"http://\S+?(?=/v1)", line)
    assert found, line
    return found[0]
