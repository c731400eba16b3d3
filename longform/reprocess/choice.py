"""Stage `choice`: each entry of the lists judged, in order, until there are enough."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from longform.errors import LongformError, ParameterError
from longform.media.block_store import discard_blocks
from longform.media.source import open_source
from longform.params import TranscribeParams
from longform.reprocess.documents import Desk
from longform.reprocess.existing import read_failure
from longform.reprocess.item import Entry
from longform.reprocess.overrides import overridden
from longform.reprocess.places import Place, Places
from longform.reprocess.report import FileRecord
from longform.reprocess.request import Select
from longform.reprocess.selection import Facts, judge
from longform.settings import Settings
from longform.speech.engine import EngineSpec
from longform.speech.engine_choice import choose_engine

JUDGED_AT_A_TIME = 8  # each is a few small requests: enough to hide latency

HostLimit = Callable[[str | None], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A file that is taken, and all that its transcription needs."""

    number: int
    entry: Entry
    params: TranscribeParams
    engine: EngineSpec
    place: Place
    reason: str


Verdict = Chosen | FileRecord  # taken, or the record of a file that is not


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
    desk: Desk
    engines: "EngineChoices"
    host_limit: HostLimit

    async def choose(self, entries: Sequence[Entry], limit: int | None) -> list[Verdict]:
        """Return for each entry, in order, that it is taken, or the record of why not.

        Raises:
            LongformError: the run's own parameters ask for a model that cannot be had, or the
                output folder cannot be read.
        """
        await self.engines.of(self.params)  # what is wrong with it is wrong with all
        found: list[Verdict] = []
        places, num_taken = Places(self.target, entries), 0
        async for one in self._judged(entries, places):
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

    async def _judged(self, entries: Sequence[Entry], places: Places) -> AsyncIterator[Verdict]:
        """Yield verdicts in order, a few files ahead of whoever takes them."""
        waiting: list[asyncio.Task[Verdict]] = []
        try:
            for number, entry in enumerate(entries, 1):
                waiting.append(asyncio.create_task(self._one(number, entry, places)))
                if len(waiting) == JUDGED_AT_A_TIME:
                    yield await waiting.pop(0)
            while waiting:
                yield await waiting.pop(0)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _one(self, number: int, entry: Entry, places: Places) -> Verdict:
        record = FileRecord(
            number=number,
            source=entry.shown,
            outcome="skipped",
            reason="",
            known_sec=entry.known_sec,
        )
        try:
            return await self._look(record, entry, places)
        except LongformError as error:
            return record.model_copy(
                update={
                    "outcome": "failed",
                    "reason": str(error),
                    "error": type(error).__name__,
                }
            )

    async def _look(self, record: FileRecord, entry: Entry, places: Places) -> Verdict:
        if entry.problem is not None:
            raise ParameterError(entry.problem)
        params = overridden(self.params, entry.params)
        engine = await self.engines.of(params)

        known: list[str] = []

        async def fingerprint() -> str:
            if not known:
                known.append(await self._fingerprint(entry))
            return known[0]

        place = await places.find(entry, fingerprint)
        failure = await asyncio.to_thread(read_failure, place.folder, place.stem, place.transcript)
        verdict = await judge(
            self.select, Facts(place.transcript, failure, params, engine, fingerprint)
        )
        if verdict.is_taken:
            return Chosen(record.number, entry, params, engine, place, verdict.reason)
        return record.model_copy(update={"reason": verdict.reason, "place": place.shown})

    async def _fingerprint(self, entry: Entry) -> str:
        # What has to be downloaded for this goes at once: there may be thousands of files.
        with TemporaryDirectory(dir=self.desk.scratch_dir) as scratch:
            async with self.host_limit(entry.host):
                source = await open_source(entry.media_url, self.desk.policy, Path(scratch))
        discard_blocks(self.desk.policy.block_dir, source.blocks)
        return source.fingerprint


def planned(chosen: Chosen) -> FileRecord:
    """Return the record of a file that would be transcribed; nothing has been done for it."""
    old = chosen.place.transcript
    return FileRecord(
        number=chosen.number,
        source=chosen.entry.shown,
        place=chosen.place.shown,
        outcome="would_transcribe",
        reason=chosen.reason,
        known_sec=chosen.entry.known_sec or (old.input_duration_sec if old else None),
    )
