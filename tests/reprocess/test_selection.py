"""Which files are taken, and why."""

import json
from pathlib import Path
from typing import Any

import pytest

from longform.params import TranscribeParams
from longform.pipeline.chunk_cache import WITHOUT_EFFECT
from longform.reprocess.previous_results import (
    FailureNote,
    OldTranscript,
    read_failure,
    read_transcript,
    write_failure,
)
from longform.reprocess.request import Select
from longform.reprocess.selection import Facts, Selection, judge
from longform.speech.engine import EngineSpec
from longform.storage.folder import open_folder
from longform.transcript.write import write_outputs
from tests.support.transcripts import output_of, segment_of

ENGINE = EngineSpec(backend="scripted:create", model="base", model_sha256="a" * 64)
IDENTITY = "scripted:create, decoder"
NOTE = FailureNote(source="talk.mp3", reason="gone", error="SourceGoneError", failed_at="then")


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OldTranscript:
    """Return a transcript as it is read from its file."""
    monkeypatch.setattr("longform.reprocess.selection.spec_identity", lambda spec: IDENTITY)
    output = output_of([segment_of(" text", 0, 1)], fingerprint="f1")
    provenance = output.provenance.model_copy(
        update={"engine": IDENTITY, "model_sha256": ENGINE.model_sha256}
    )
    output = output.model_copy(update={"provenance": provenance})
    write_outputs(output, ("json",), str(tmp_path), "talk")
    found = read_transcript(open_folder(str(tmp_path)), "talk")
    assert isinstance(found, OldTranscript)
    return found


async def decide(select: Select, old: OldTranscript | None, **known: Any) -> Selection:
    """Judge one file, whose recording still is what the transcript says by default."""

    async def fingerprint() -> str:
        return str(known.get("fingerprint", "f1"))

    facts = Facts(
        transcript=old,
        failure=known.get("failure"),
        params=known.get("params", TranscribeParams()),
        engine=known.get("engine", ENGINE),
        fingerprint=fingerprint,
    )
    return await judge(select, facts)


@pytest.mark.parametrize(
    ("select", "state", "is_taken"),
    [
        ("missing", "none", True),
        ("missing", "whole", False),
        ("missing", "incomplete", False),
        ("missing", "failed", True),
        ("outdated", "none", False),
        ("outdated", "whole", False),
        ("failed", "none", False),
        ("failed", "whole", False),
        ("failed", "incomplete", True),
        ("failed", "failed", True),
        ("all", "none", True),
        ("all", "whole", True),
    ],
)
async def test_each_selection(
    select: Select, state: str, is_taken: bool, old: OldTranscript
) -> None:
    """Takes what its name says, and gives a reason either way."""
    states: dict[str, tuple[OldTranscript | None, FailureNote | None]] = {
        "none": (None, None),
        "whole": (old, None),
        "incomplete": (old.model_copy(update={"status": "incomplete"}), None),
        "failed": (None, NOTE),
    }
    transcript, failure = states[state]
    verdict = await decide(select, transcript, failure=failure)
    assert verdict.is_taken == is_taken
    assert verdict.reason


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        ({"fingerprint": "f2"}, "the recording changed"),
        ({"params": TranscribeParams(beam_size=1)}, "beam_size: 5 → 1"),
        ({"params": TranscribeParams(language="de")}, "language: none → de"),
        ({"params": TranscribeParams(vad={"threshold": 0.4})}, "vad.threshold: 0.5 → 0.4"),
        ({"engine": ENGINE.model_copy(update={"model_sha256": "b" * 64})}, "model: base"),
    ],
)
async def test_what_makes_a_transcript_outdated(
    known: dict[str, Any], reason: str, old: OldTranscript
) -> None:
    """Its source, its parameters or its model, and the reason says which."""
    verdict = await decide("outdated", old, **known)
    assert verdict.is_taken
    assert reason in verdict.reason


async def test_what_changes_no_file_outdates_nothing(old: OldTranscript) -> None:
    """Where the model runs, how much at a time, its name for the same weights."""
    params = TranscribeParams(device="cpu", batch_size=2, on_chunk_failure="partial", model="other")
    assert {"device", "batch_size", "on_chunk_failure", "model"} == WITHOUT_EFFECT
    engine = ENGINE.model_copy(update={"model": "other"})
    assert not (await decide("outdated", old, params=params, engine=engine)).is_taken


async def test_parameters_alone_need_no_recording(old: OldTranscript) -> None:
    """A recording is opened only where everything else is the same."""
    opened = []

    async def fingerprint() -> str:
        opened.append(True)
        return "f1"

    for params, times in ((TranscribeParams(beam_size=1), 0), (TranscribeParams(), 1)):
        await judge("outdated", Facts(old, None, params, ENGINE, fingerprint))
        assert len(opened) == times


async def test_a_transcript_of_an_older_version_is_read(tmp_path: Path, old: OldTranscript) -> None:
    """A parameter that came later counts as its default; one that is gone is left out."""
    path = tmp_path / "talk.json"
    document = json.loads(path.read_text())
    del document["provenance"]["parameters"]["hotwords"]
    document["provenance"]["parameters"]["gone"] = 1
    document["new_field"] = 1
    path.write_text(json.dumps(document))
    found = read_transcript(open_folder(str(tmp_path)), "talk")
    assert isinstance(found, OldTranscript)
    assert not (await decide("outdated", found)).is_taken
    assert (await decide("outdated", found, params=TranscribeParams(hotwords="x"))).is_taken


def test_a_failure_is_forgotten_when_a_transcript_has_come(
    tmp_path: Path, old: OldTranscript
) -> None:
    """Also where it was `transcribe` that wrote it, which knows nothing of notes."""
    place = open_folder(str(tmp_path))
    write_failure(place, "talk", NOTE)
    assert read_failure(place, "talk", None) == NOTE
    assert read_failure(place, "talk", old) is None
    write_failure(place, "talk", NOTE.model_copy(update={"transcript": old.digest}))
    assert read_failure(place, "talk", old) is not None
    (tmp_path / "talk.failed.json").write_text("{")
    assert read_failure(place, "talk", old) is None
