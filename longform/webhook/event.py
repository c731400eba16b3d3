"""What a webhook says about a run that has ended: small, without secrets, the same every time."""

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime

from pydantic import Field

from longform.net.policy import printable, redact
from longform.params import FrozenModel

MAX_FILES = 20  # names in one payload; `num_files` counts all
MAX_MESSAGE_CHARACTERS = 500
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")


class RunEnded(FrozenModel):
    """The facts about one run. Durations are None where nothing was transcribed."""

    run_id: str
    run_name: str
    attempt: int  # how often this run has been started, from 1
    status: str  # complete, complete_with_damage, incomplete, failed, crashed, cancelled
    message: str = ""
    run_url: str = ""
    source: str = ""
    input_duration_sec: float | None = None
    processing_duration_sec: float | None = None
    files: tuple[str, ...] = ()
    num_files: int = 0
    outcomes: dict[str, int] = Field(default_factory=dict)  # of a bulk run: recordings by outcome


class WebhookEvent(FrozenModel):
    """The payload, in the shape that Standard Webhooks recommends."""

    type: str  # transcription.completed, reprocess.failed, ...
    timestamp: datetime  # when it happened, not when it is sent
    data: RunEnded

    @property
    def id(self) -> str:
        """Return the `webhook-id`: the same for one end of one run, however often it is sent.

        A run that was started again may end again; that is news.
        """
        told = f"{self.data.run_id} {self.data.attempt} {self.type}"
        return f"msg_{hashlib.sha256(told.encode()).hexdigest()[:32]}"

    def body(self) -> bytes:
        """Return the payload as JSON."""
        return self.model_dump_json().encode()


def shown_message(text: str | None) -> str:
    """Return a message as one short line in which no address carries a permission."""
    line = printable(" ".join((text or "").split()))
    plain = _URL.sub(lambda found: redact(found[0]), line)
    return plain[:MAX_MESSAGE_CHARACTERS]


def shown_files(files: Sequence[str]) -> tuple[str, ...]:
    """Return the first files of a run, as they may be shown."""
    return tuple(map(redact, files[:MAX_FILES]))
