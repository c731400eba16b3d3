"""Every end of a run is told to a webhook, once, and whatever the receiver does."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.blocks.system import Secret
from standardwebhooks import Webhook

from flows.transcribe import transcribe
from infra.secret_blocks import WEBHOOK_KEY, WEBHOOK_URL
from longform.errors import SourceMissingError
from longform.params import TranscribeParams
from tests.conftest import WELCOME
from tests.flows.conftest import Stage
from tests.support.webhook_receiver import Receiver, webhook_receiver

pytestmark = pytest.mark.server

KEY = "whsec_" + "A" * 43 + "="
PARAMS = TranscribeParams(macro_chunk_size_sec=60, language="en", beam_size=1)


@pytest.fixture
def receiver(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """Start a receiver to which this process tells the ends of runs."""
    with webhook_receiver() as receiver:
        monkeypatch.setenv("LONGFORM_WEBHOOK_URL", receiver.url)
        monkeypatch.setenv("LONGFORM_WEBHOOK_SECRET", KEY)
        monkeypatch.setenv("LONGFORM_WEBHOOK_ALLOW_PRIVATE_HOSTS", "true")
        yield receiver


async def test_a_completed_run_is_told(receiver: Receiver, tmp_path: Path) -> None:
    """One signed event, with the figures and files of the run; none for its subflows."""
    output = await transcribe(
        str(WELCOME), PARAMS, output_dir=str(tmp_path), output_formats=("json", "srt")
    )
    (request,) = receiver.received
    told = Webhook(KEY).verify(request.body, request.headers)
    assert told["type"] == "transcription.completed"
    assert told["data"]["status"] == "complete"
    assert told["data"]["run_name"] == "transcribe welcome.flac"
    assert told["data"]["input_duration_sec"] == output.input_duration_sec
    assert told["data"]["files"] == list(output.files)


async def test_a_failed_run_is_told(receiver: Receiver, tmp_path: Path) -> None:
    """The event says why it failed and names the recording, without the signature of its URL."""
    missing = f"{receiver.url.removesuffix('/hooks/token')}/missing.mp3?signature=s3cret"
    with pytest.raises(SourceMissingError):
        await transcribe(str(tmp_path / "missing.mp3"), PARAMS)
    state = await transcribe(missing, PARAMS, return_state=True)
    assert state.is_failed()
    first, second = receiver.received
    told = Webhook(KEY).verify(first.body, first.headers)
    assert (told["type"], told["data"]["status"]) == ("transcription.failed", "failed")
    assert told["data"]["source"] == "missing.mp3"
    assert "does not exist" in told["data"]["message"]
    assert b"s3cret" not in second.body


async def test_a_run_incomplete_is_told_with_its_files(
    receiver: Receiver, stage: Stage, tmp_path: Path
) -> None:
    """Where chunks failed for good, the event has the status and the files all the same."""
    stage.direct(fail_first={"0": 99}, error="WeightsError")
    state = await transcribe(
        str(WELCOME), PARAMS, output_dir=str(tmp_path), output_formats=("srt",), return_state=True
    )
    assert state.is_failed()
    (request,) = receiver.received
    told = json.loads(request.body)
    assert (told["type"], told["data"]["status"]) == ("transcription.failed", "incomplete")
    assert told["data"]["files"] == [str(tmp_path / "welcome.srt")]


async def test_a_receiver_that_refuses_changes_nothing(receiver: Receiver, tmp_path: Path) -> None:
    """The run completes; the refusal is not its failure."""
    receiver.answers.append(401)
    state = await transcribe(str(WELCOME), PARAMS, output_dir=str(tmp_path), return_state=True)
    assert state.is_completed()
    assert len(receiver.received) == 1


async def test_the_blocks_of_the_server_say_where(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Address and key come from the server's secret blocks where this machine has none."""
    monkeypatch.setenv("LONGFORM_WEBHOOK_ALLOW_PRIVATE_HOSTS", "true")
    with webhook_receiver() as receiver:
        for name, value in ((WEBHOOK_URL, receiver.url), (WEBHOOK_KEY, KEY)):
            await Secret(value=value).save(name, overwrite=True)
        try:
            await transcribe(str(WELCOME), PARAMS, output_dir=str(tmp_path))
        finally:
            for name in (WEBHOOK_URL, WEBHOOK_KEY):
                await Secret.adelete(name)
    (request,) = receiver.received
    Webhook(KEY).verify(request.body, request.headers)
