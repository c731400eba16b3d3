"""A speech engine without a model, for tests: what it says depends on the audio alone.

Worker processes reach it as the backend `tests.support.scripted_engine:create`. A JSON file,
named by the environment variable LONGFORM_TEST_SCRIPT, tells it to misbehave:

    {"sleep_sec": 0.1,                        # in every call
     "fail_first": {"0": 2, "4800000": 1},    # start sample of a micro chunk: failed attempts
     "error": "EngineUnavailableError",       # which error of longform.errors it raises
     "wait_for": "/some/file",                # no call ends before this file exists
     "die_first": 1,                          # so many calls kill their process
     "die_on": {"4800000": 99},               # micro chunks that kill it, and how often
     "attempts_dir": "/some/folder",          # one file per failed attempt, for all processes
     "calls_file": "/some/file"}              # one line per call: the batch's start samples
"""

import hashlib
import json
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from longform import errors
from longform.speech.engine import DecodeOptions, EngineSpec, MicroRequest, MicroResult
from longform.transcript.segment import Segment, Word

SCRIPT_VARIABLE = "LONGFORM_TEST_SCRIPT"


def create(spec: EngineSpec, home: Path) -> "ScriptedEngine":
    """Return an engine that follows the script of this process's environment."""
    path = os.environ.get(SCRIPT_VARIABLE)
    return ScriptedEngine(Path(path) if path else None)


def scripted_text(pcm: bytes) -> str:
    """Return what the engine hears in audio: two words made of its hash."""
    digest = hashlib.sha256(pcm).hexdigest()
    return f" word{digest[:8]} word{digest[8:16]}."


class ScriptedEngine:
    """One segment of two words per micro chunk, over its detected speech."""

    identity = "scripted, decoder 1"

    def __init__(self, script: Path | None = None) -> None:
        self._script_path = script

    def transcribe(
        self, batch: Sequence[MicroRequest], options: DecodeOptions
    ) -> list[MicroResult]:
        """Follow the script, then answer from the audio's hash."""
        script = json.loads(self._script_path.read_text()) if self._script_path else {}
        time.sleep(script.get("sleep_sec", 0.0))
        starts = [request.chunk.span.start_sample for request in batch]
        if "calls_file" in script:
            with Path(script["calls_file"]).open("a") as calls:
                calls.write(json.dumps(starts) + "\n")
        _die_if_due(script, starts)
        while "wait_for" in script and not Path(script["wait_for"]).exists():
            time.sleep(0.02)
        for start in starts:
            _fail_if_due(script, start)
        return [_result(request, options) for request in batch]


def _die_if_due(script: dict, starts: list[int]) -> None:
    deadly = script.get("die_on", {})
    due = {"death": script.get("die_first", 0)}
    due |= {f"death-{start}": deadly.get(str(start), 0) for start in starts}
    for name, times in due.items():
        for attempt in range(times):
            try:
                (Path(script["attempts_dir"]) / f"{name}-{attempt}").touch(exist_ok=False)
            except FileExistsError:
                continue
            os.kill(os.getpid(), signal.SIGKILL)


def _fail_if_due(script: dict, start: int) -> None:
    wanted = script.get("fail_first", {}).get(str(start), 0)
    for attempt in range(wanted):
        marker = Path(script["attempts_dir"]) / f"{start}-{attempt}"
        try:
            marker.touch(exist_ok=False)  # atomic: attempts are counted across processes
        except FileExistsError:
            continue
        raise getattr(errors, script.get("error", "EngineUnavailableError"))(
            f"scripted failure {attempt + 1} at sample {start}"
        )


def _result(request: MicroRequest, options: DecodeOptions) -> MicroResult:
    chunk = request.chunk
    language, probability = options.language or "en", 1.0
    if options.language is None:
        language, probability = request.languages.decide(chunk.span.start_sample, [("en", 1.0)])
    if not chunk.speech:
        return MicroResult((), language, probability)
    start, end = chunk.speech[0].start_sample, chunk.speech[-1].end_sample
    middle = (start + end) // 2
    text = scripted_text(chunk.pcm.tobytes())
    first, second = text.split(" ")[1:]
    words = (
        Word(start_sample=start, end_sample=middle, text=f" {first}", probability=1.0),
        Word(start_sample=middle, end_sample=end, text=f" {second}", probability=1.0),
    )
    segment = Segment(
        start_sample=start,
        end_sample=end,
        text=text,
        language=language,
        words=words if options.word_timestamps else (),
        tokens=(1, 2),
        avg_logprob=-0.1,
        no_speech_prob=0.0,
        compression_ratio=1.0,
        decode_path="beam" if options.beam_size > 1 else "greedy",
    )
    return MicroResult((segment,), language, probability)
