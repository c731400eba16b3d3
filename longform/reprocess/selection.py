"""Which files a run takes, and why: from what their transcripts say of themselves.

`Chooser` goes through the entries of the lists, in order, until there are enough. `judge` decides
on one of them, by a rule for each `Select`.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

from longform.errors import LongformError, ParameterError
from longform.media.shared_blocks import discard_blocks
from longform.media.sources.open import open_source
from longform.params import TranscribeParams
from longform.pipeline.chunk_cache import WITHOUT_EFFECT
from longform.reprocess.batch_report import FileRecord
from longform.reprocess.documents import FetchContext
from longform.reprocess.entry import Entry
from longform.reprocess.output_paths import Fingerprint, OutputPath, OutputPaths
from longform.reprocess.overrides import overridden
from longform.reprocess.previous_results import (
    FailureNote,
    OldProvenance,
    OldTranscript,
    read_failure,
)
from longform.reprocess.request import Select
from longform.settings import Settings
from longform.speech.engine import EngineSpec
from longform.speech.engine_choice import choose_engine
from longform.speech.engines import spec_identity

JUDGED_AT_A_TIME = 8  # each is a few small requests: enough to hide latency
MAX_NAMED = 4  # differences in one line for people

HostLimit = Callable[[str | None], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A file that is taken, and all that its transcription needs."""

    number: int
    entry: Entry
    params: TranscribeParams
    engine: EngineSpec
    path: OutputPath
    reason: str


Candidate = Chosen | FileRecord  # taken, or the record of a file that is not


def planned(chosen: Chosen) -> FileRecord:
    """Return the record of a file that would be transcribed; nothing has been done for it."""
    old = chosen.path.transcript
    return FileRecord(
        number=chosen.number,
        source=chosen.entry.shown,
        place=chosen.path.shown,
        outcome="would_transcribe",
        reason=chosen.reason,
        known_sec=chosen.entry.known_sec or (old.input_duration_sec if old else None),
    )


class EngineChoices:
    """The engine for each set of parameters; weights are found and verified once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: dict[tuple[object, ...], asyncio.Task[EngineSpec]] = {}

    async def of(self, params: TranscribeParams) -> EngineSpec:
        """Return the engine for these parameters.

        Raises:
            UnknownModelError, WeightsError, EnvironmentFaultError: from `choose_engine`.
        """
        key = (params.model, params.device, params.compute_type, params.batch_size)
        if key not in self._made:
            choice = asyncio.to_thread(choose_engine, params, self._settings)
            self._made[key] = asyncio.create_task(choice)
        return await asyncio.shield(self._made[key])


@dataclass(frozen=True, slots=True)
class Chooser:
    """What judging needs beside the entries."""

    select: Select
    params: TranscribeParams
    target: str
    fetch: FetchContext
    engines: EngineChoices
    host_limit: HostLimit

    async def choose(self, entries: Sequence[Entry], limit: int | None) -> list[Candidate]:
        """Return for each entry, in order, that it is taken, or the record of why not.

        Raises:
            LongformError: the run's own parameters ask for a model that cannot be had, or the
                output folder cannot be read.
        """
        await self.engines.of(self.params)  # what is wrong with it is wrong with all
        found: list[Candidate] = []
        num_taken, paths = 0, OutputPaths(self.target, entries)
        async with aclosing(self._candidates(entries, paths)) as candidates:
            async for one in candidates:
                num_taken += isinstance(one, Chosen)
                found.append(one)
                if num_taken == limit:
                    break
        rest = entries[len(found) :]
        return found + [
            FileRecord(
                number=number,
                source=entry.shown,
                outcome="not_reached",
                reason=f"not looked at: the limit of {limit} was reached before",
                known_sec=entry.known_sec,
            )
            for number, entry in enumerate(rest, len(found) + 1)
        ]

    async def _candidates(
        self, entries: Sequence[Entry], paths: OutputPaths
    ) -> AsyncGenerator[Candidate, None]:
        """Yield candidates in order, a few files ahead of the caller."""
        waiting: list[asyncio.Task[Candidate]] = []
        try:
            for number, entry in enumerate(entries, 1):
                waiting.append(asyncio.create_task(self._candidate(number, entry, paths)))
                if len(waiting) == JUDGED_AT_A_TIME:
                    yield await waiting.pop(0)
            while waiting:
                yield await waiting.pop(0)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _candidate(self, number: int, entry: Entry, paths: OutputPaths) -> Candidate:
        record = FileRecord(
            number=number,
            source=entry.shown,
            outcome="skipped",
            reason="",
            known_sec=entry.known_sec,
        )
        try:
            return await self._judged(record, entry, paths)
        except LongformError as error:
            return record.model_copy(
                update={
                    "outcome": "failed",
                    "reason": str(error),
                    "error": type(error).__name__,
                }
            )

    async def _judged(self, record: FileRecord, entry: Entry, paths: OutputPaths) -> Candidate:
        if entry.problem is not None:
            raise ParameterError(entry.problem)
        params = overridden(self.params, entry.params)
        engine = await self.engines.of(params)

        known: list[str] = []

        async def fingerprint() -> str:
            if not known:
                known.append(await self._fingerprint(entry))
            return known[0]

        path = await paths.find(entry, fingerprint)
        failure = await asyncio.to_thread(read_failure, path.folder, path.stem, path.transcript)
        selection = await judge(
            self.select, Facts(path.transcript, failure, params, engine, fingerprint)
        )
        if selection.is_taken:
            return Chosen(record.number, entry, params, engine, path, selection.reason)
        return record.model_copy(update={"reason": selection.reason, "place": path.shown})

    async def _fingerprint(self, entry: Entry) -> str:
        # What has to be downloaded for this goes at once: there may be thousands of files.
        with TemporaryDirectory(dir=self.fetch.scratch_dir) as scratch:
            async with self.host_limit(entry.host):
                source = await open_source(entry.media_url, self.fetch.policy, Path(scratch))
        discard_blocks(self.fetch.policy.block_dir, source.blocks)
        return source.fingerprint


@dataclass(frozen=True, slots=True)
class Selection:
    """Whether a file is taken, and why or why not."""

    is_taken: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a file before any work on it."""

    transcript: OldTranscript | None
    failure: FailureNote | None
    params: TranscribeParams
    engine: EngineSpec
    fingerprint: Fingerprint  # opens the recording, so it is asked last


async def judge(select: Select, facts: Facts) -> Selection:
    """Decide on one file.

    Raises:
        SourceError, RetryableError: its recording had to be opened, and could not be.
    """
    return await _JUDGES[select](facts)


async def _missing(facts: Facts) -> Selection:
    if facts.transcript is None:
        return Selection(True, "no transcript yet")
    return Selection(False, "has a transcript")


async def _failed(facts: Facts) -> Selection:
    if facts.failure is not None:
        return Selection(True, f"failed before: {facts.failure.reason}")
    if facts.transcript is not None and facts.transcript.status == "incomplete":
        return Selection(True, "its transcript is incomplete")
    return Selection(False, "did not fail")


async def _all(facts: Facts) -> Selection:
    return Selection(True, "all were asked for")


async def _outdated(facts: Facts) -> Selection:
    if facts.transcript is None:
        return Selection(False, "has no transcript that could be outdated")
    old = facts.transcript.provenance
    if found := [*differences(old, facts.params, facts.engine)]:
        more = len(found) - MAX_NAMED
        return Selection(
            True, "; ".join(found[:MAX_NAMED]) + (f"; {more} more" if more > 0 else "")
        )
    if old.source_fingerprint != await facts.fingerprint():
        return Selection(True, "the recording changed")
    return Selection(False, "up to date")


_JUDGES: Mapping[Select, Callable[[Facts], Awaitable[Selection]]] = MappingProxyType(
    {"missing": _missing, "outdated": _outdated, "failed": _failed, "all": _all}
)


def differences(old: OldProvenance, params: TranscribeParams, engine: EngineSpec) -> Iterator[str]:
    """Yield what would be done otherwise than it was done for a transcript, in words."""
    if (old.model_sha256 or old.model) != (engine.model_sha256 or engine.model):
        yield _changed("model", _model(old.model, old.model_sha256), _engine_model(engine))
    if old.engine != (identity := spec_identity(engine)):
        yield _changed("engine", old.engine, identity)
    defaults = _flat(TranscribeParams().model_dump(mode="json"))
    # What an older version did not have yet, it did as its default does today.
    before = defaults | _flat(old.parameters)
    after = _flat(params.model_dump(mode="json"))
    for name in after:
        if name not in WITHOUT_EFFECT and before.get(name) != after[name]:
            yield _changed(name, before.get(name), after[name])


def _changed(name: str, before: object, after: object) -> str:
    return f"{name}: {_short(before)} → {_short(after)}"


def _short(value: object) -> str:
    text = "none" if value in (None, "", [], ()) else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _engine_model(engine: EngineSpec) -> str:
    return _model(engine.model, engine.model_sha256)


def _model(name: str, sha256: str | None) -> str:
    return f"{name} ({sha256[:8]})" if sha256 else name


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= {f"{name}.{inner}": each for inner, each in value.items()}
        else:
            found[name] = value
    return found
