"""What a model service says about itself, before a run relies on it."""

from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from longform.errors import ServiceRefusedError, UnknownModelError
from longform.speech.engine import RemoteService
from longform.speech.remote.chunk_protocol import ANSWER_FIELD
from longform.speech.remote.client import ServiceClient, service_url

ATTEMPTS = 2  # the user waits for the answer


@dataclass(frozen=True, slots=True)
class FoundService:
    """A service, and the sha256 of the model in it where it says so."""

    service: RemoteService
    model_sha256: str | None


def find_service(url: str | None, key: SecretStr | None, model: str) -> FoundService:
    """Ask a service which model it has.

    Raises:
        ParameterError: the address is none.
        UnknownModelError: it is one of ours and serves another model.
        EngineUnavailableError, EnvironmentFaultError: from `ServiceClient`.
    """
    base = service_url(url)
    client = ServiceClient(base, key, max_attempts=ATTEMPTS)
    try:
        listed = _models(client)
    finally:
        client.close()
    ours = {name: entry[ANSWER_FIELD] for name, entry in listed.items() if ANSWER_FIELD in entry}
    if not ours:
        # Other servers do not say what they run: the name is all there is to tell them apart.
        identity = f"remote, {listed.get(model, {}).get('owned_by', 'unknown')}"
        return FoundService(RemoteService(url=base, identity=identity), None)
    if model not in ours:
        raise UnknownModelError(
            f"the model service at {base} has no model {model!r}: "
            f"give --model as one of {', '.join(sorted(ours))}"
        )
    about = ours[model]
    identity = f"remote, {about.get('identity', 'unknown')}"
    service = RemoteService(url=base, identity=identity, speaks_longform=True)
    return FoundService(service, about.get("model_sha256"))


def _models(client: ServiceClient) -> dict[str, dict[str, Any]]:
    try:
        entries = client.get("models").get("data")
    except (ServiceRefusedError, UnknownModelError):
        return {}  # a server that has no such list may transcribe all the same
    usable = [entry for entry in entries or () if isinstance(entry, dict) and "id" in entry]
    return {str(entry["id"]): entry for entry in usable}
