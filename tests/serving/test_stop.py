"""Starting and stopping: what a service says about itself, and what becomes of requests."""

import json
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from longform.errors import EnvironmentFaultError, ParameterError, UnknownModelError
from longform.params import TranscribeParams
from longform.serving.server import Stop, serve
from longform.serving.service_settings import ServiceSettings, service_settings
from longform.settings import Settings
from tests.serving.conftest import PATIENCE_SEC, wait_until
from tests.support import gated_engine, model_service
from tests.support.gated_engine import Gate
from tests.support.model_service import RunningService, service_in_thread, service_process

SCRIPTED = "tests.support.scripted_engine:create"


def health(service: RunningService, path: str = "") -> tuple[int, str]:
    """Return what a service says about its health."""
    response = httpx.get(f"{service.url}/health{path}", timeout=PATIENCE_SEC, trust_env=False)
    return response.status_code, response.json()["status"]


def test_a_signal_lets_requests_end(tmp_path: Path, speech_wav: bytes) -> None:
    """After SIGTERM the running request is answered, a new one refused, and the exit code 0."""
    script = tmp_path / "script.json"
    go = tmp_path / "go"
    script.write_text(json.dumps({"wait_for": str(go)}))
    environment = {"LONGFORM_ENGINE": SCRIPTED, "LONGFORM_TEST_SCRIPT": str(script)}
    with (
        service_process(tmp_path, **environment) as (service, process),
        ThreadPoolExecutor(1) as pool,
        httpx.Client(timeout=PATIENCE_SEC, trust_env=False) as client,
    ):
        assert health(service) == (200, "ok")
        running = pool.submit(service.post, speech_wav)
        wait_until(lambda: service.metric("longform_streams") == 1, "the request is in")
        process.send_signal(signal.SIGTERM)
        wait_until(
            lambda: client.get(f"{service.url}/health").status_code == 503, "it says that it stops"
        )
        refused = service.post(speech_wav)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "stopping")
        assert "retry-after" in refused.headers
        assert health(service, "/live") == (200, "alive")
        go.touch()
        assert running.result().status_code == 200
        assert process.wait(60) == 0


def test_after_the_grace_requests_are_ended(
    tmp_path: Path, gate: Gate, speech_wav: bytes, spool: Path
) -> None:
    """A request that takes longer than the grace is told that the service stops."""
    with service_in_thread(tmp_path, grace_sec=0.2) as service, ThreadPoolExecutor(1) as pool:
        gate.close()
        running = pool.submit(service.post, speech_wav)
        gate.wait_for_batch()
        service.stop()
        response = running.result()
        assert (response.status_code, response.json()["error"]["code"]) == (503, "stopping")
    assert list(spool.iterdir()) == []


def test_it_is_ready_only_with_its_model(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch, speech_wav: bytes
) -> None:
    """While the model loads the service lives, is not ready, and refuses requests for now."""
    may_load = threading.Event()
    create = gated_engine.create

    def create_late(*arguments: object) -> object:
        assert may_load.wait(60)
        return create(*arguments)

    monkeypatch.setattr(gated_engine, "create", create_late)
    seen: list[tuple[int, str]] = []

    def look(line: str) -> None:
        if "listening" in line:
            service = RunningService(model_service.address_in(line))
            threading.Thread(target=look_while_loading, args=(service,)).start()

    def look_while_loading(service: RunningService) -> None:
        try:
            wait_until(lambda: _answers(service), "it listens")
            seen.extend([health(service), health(service, "/live")])
            refused = service.post(speech_wav)
            seen.append((refused.status_code, refused.json()["error"]["code"]))
        finally:
            may_load.set()

    with service_in_thread(tmp_path, on_line=look) as service:
        assert health(service) == (200, "ok")
    assert seen == [(503, "loading"), (200, "alive"), (503, "loading")]


def _answers(service: RunningService) -> bool:
    try:
        return health(service, "/live")[0] == 200
    except httpx.TransportError:
        return False


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    """A service without a model ends with the reason."""
    with pytest.raises(UnknownModelError, match="no-such-model"):
        serve(
            ServiceSettings(port=0),
            TranscribeParams(model="no-such-model"),
            Settings(home=tmp_path),
            lambda line: None,
        )


def test_a_port_that_is_taken(tmp_path: Path, plain_service: RunningService) -> None:
    """An address in use is an error that names it."""
    port = int(plain_service.url.rpartition(":")[2])
    with pytest.raises(EnvironmentFaultError, match=f"port {port}"):
        serve(
            ServiceSettings(port=port),
            TranscribeParams(),
            Settings(home=tmp_path, engine=SCRIPTED),
            lambda line: None,
        )


def test_a_service_never_asks_another(tmp_path: Path) -> None:
    """The remote engine cannot be served, whatever the settings say."""
    stops: list[Stop] = []
    with pytest.raises(ParameterError, match="loads a model itself"):
        serve(
            ServiceSettings(port=0),
            TranscribeParams(),
            Settings(home=tmp_path, engine="remote", engine_url="http://127.0.0.1:9"),
            lambda line: None,
            stops.append,
        )
    assert stops == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "model.example.org", ""])
def test_strangers_need_a_key(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond this machine nothing is served without a key, unless that is what is wanted."""
    monkeypatch.delenv("LONGFORM_SERVICE_API_KEY", raising=False)
    with pytest.raises(ParameterError, match="LONGFORM_SERVICE_API_KEY"):
        service_settings(host=host)
    assert service_settings(host=host, allow_anonymous=True).keys == ()
    monkeypatch.setenv("LONGFORM_SERVICE_API_KEY", "one, two")
    settings = service_settings(host=host)
    assert settings.keys == ("one", "two")
    assert "one" not in repr(settings) + settings.model_dump_json()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_needs_none(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On loopback a service may be without a key; an empty one is none."""
    monkeypatch.setenv("LONGFORM_SERVICE_API_KEY", " , ")
    assert service_settings(host=host).keys == ()


def test_settings_out_of_bounds() -> None:
    """A limit that is none is refused by its name."""
    with pytest.raises(ParameterError, match="max_requests"):
        service_settings(max_requests=0)
