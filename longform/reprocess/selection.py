"""Which files a run takes, and why: from what their transcripts say of themselves."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from longform.params import TranscribeParams
from longform.reprocess.existing import FailureNote, OldProvenance, OldTranscript
from longform.reprocess.places import Fingerprint
from longform.reprocess.request import Select
from longform.speech.engine import EngineSpec
from longform.speech.engines import spec_identity

# Parameters that change no file: where the model runs and how much of it at a time, how a run
# ends, and the model's name, instead of which its content is compared.
WITHOUT_EFFECT_ON_FILES = frozenset({"device", "batch_size", "on_chunk_failure", "model"})
MAX_NAMED = 4  # differences in one line for people


@dataclass(frozen=True, slots=True)
class Verdict:
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


async def judge(select: Select, facts: Facts) -> Verdict:
    """Decide on one file.

    Raises:
        SourceError, RetryableError: its recording had to be opened, and could not be.
    """
    return await _JUDGES[select](facts)


async def _missing(facts: Facts) -> Verdict:
    if facts.transcript is None:
        return Verdict(True, "no transcript yet")
    return Verdict(False, "has a transcript")


async def _failed(facts: Facts) -> Verdict:
    if facts.failure is not None:
        return Verdict(True, f"failed before: {facts.failure.reason}")
    if facts.transcript is not None and facts.transcript.status == "incomplete":
        return Verdict(True, "its transcript is incomplete")
    return Verdict(False, "did not fail")


async def _all(facts: Facts) -> Verdict:
    return Verdict(True, "all were asked for")


async def _outdated(facts: Facts) -> Verdict:
    if facts.transcript is None:
        return Verdict(False, "has no transcript that could be outdated")
    old = facts.transcript.provenance
    if found := [*differences(old, facts.params, facts.engine)]:
        more = len(found) - MAX_NAMED
        return Verdict(True, "; ".join(found[:MAX_NAMED]) + (f"; {more} more" if more > 0 else ""))
    if old.source_fingerprint != await facts.fingerprint():
        return Verdict(True, "the recording changed")
    return Verdict(False, "up to date")


_JUDGES: Mapping[Select, Callable[[Facts], Awaitable[Verdict]]] = MappingProxyType(
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
        if name not in WITHOUT_EFFECT_ON_FILES and before.get(name) != after[name]:
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
