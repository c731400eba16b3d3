"""`longform doctor`: what it finds, and what it says to do."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from cli import doctor
from cli.doctor import Check, checks, look, render
from longform.settings import Settings
from longform.speech.remote import client
from tests.support.speech_server import Answer, speech_server


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return settings in a new home, with no Prefect server configured."""
    for name in ("PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "no-prefect-home"))
    return Settings(home=tmp_path)


def found(settings: Settings, name: str, model: str = "base") -> Check:
    """Return what one look finds."""
    return look(name, settings, model)


def test_a_machine_that_has_all_passes(settings: Settings) -> None:
    """Where everything is installed nothing is a fault, and no server is started."""
    results = checks(settings, "base")
    assert {check.name: check for check in results if check.ok == "fail"} == {}
    assert "a run starts one" in found(settings, "Prefect API").found
    assert not (settings.home / "server.json").exists()


def test_a_missing_ffmpeg_is_a_fault(settings: Settings) -> None:
    """An ffmpeg that is not there is named together with the setting that mends it."""
    check = found(settings.model_copy(update={"ffmpeg": "/no/ffmpeg"}), "ffmpeg")
    assert check.ok == "fail"
    assert "/no/ffmpeg" in check.found
    assert "LONGFORM_FFMPEG" in check.found + check.remedy


def test_an_unknown_model_is_a_fault(settings: Settings) -> None:
    """A model that nobody has is one fault among the other, still good, checks."""
    check = found(settings, "weights", "no-such-model")
    assert check.ok == "fail"
    assert "no-such-model" in check.found


def test_a_store_without_its_package_is_a_fault(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stores that can be read are listed; one that is configured and cannot is a fault."""
    assert "s3" in found(settings, "object stores").found
    monkeypatch.setitem(doctor.STORE_PACKAGES, "s3", "no_such_package")
    assert found(settings, "object stores").ok == "ok"
    check = found(settings.model_copy(update={"work_store": "s3://b/work"}), "object stores")
    assert (check.ok, check.remedy) == ("fail", "pip install 'longform[s3]'")


def test_a_server_that_is_down_is_a_fault(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configured API that does not answer is named with its address."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    check = found(settings, "Prefect API")
    assert (check.ok, check.found) == ("fail", "http://127.0.0.1:9/api does not answer")


def test_a_scheduler_that_is_down_is_a_fault(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Dask address where nobody listens is named."""
    monkeypatch.setattr(doctor, "SCHEDULER_TIMEOUT_SEC", 0.2)
    check = found(settings.model_copy(update={"cluster": "tcp://127.0.0.1:9"}), "Dask")
    assert (check.ok, check.found) == ("fail", "no scheduler at tcp://127.0.0.1:9")


def test_a_model_service_is_asked(settings: Settings) -> None:
    """Where the engine is remote, the service must answer, and no weights are needed here."""
    about = {"identity": "faster_whisper, decoder 1", "model_sha256": None}
    with speech_server() as server:
        server.models = Answer({"data": [{"id": "base", "longform": about}]})
        remote = settings.model_copy(update={"engine": "remote", "engine_url": server.url})
        check = found(remote, "model service")
        assert check.ok == "ok"
        assert "faster_whisper" in check.found
        assert found(remote, "weights", "large-v3").ok == "ok"
        assert found(remote, "model service", "large-v3").ok == "fail"
    assert found(settings, "model service").ok == "ok"


def test_a_model_service_that_is_down_is_a_fault(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that does not answer, or has no address, is a fault with its remedy."""
    monkeypatch.setattr(client, "BACKOFF_BASE_SEC", 0.001)
    remote = settings.model_copy(update={"engine": "remote", "engine_url": "http://127.0.0.1:9"})
    check = found(remote, "model service")
    assert check.ok == "fail"
    assert "127.0.0.1:9" in check.found
    nowhere = settings.model_copy(update={"engine": "remote"})
    assert "LONGFORM_ENGINE_URL" in found(nowhere, "model service").remedy


def test_a_full_disk_is_a_fault(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too little room is a fault, little room a warning."""
    monkeypatch.setattr(doctor, "LEAST_BYTES", 10**18)
    monkeypatch.setattr(doctor, "SCARCE_BYTES", 10**18)
    assert found(settings, "free disk").ok == "fail"
    monkeypatch.setattr(doctor, "LEAST_BYTES", 1)
    assert found(settings, "free disk").ok == "warn"


def test_the_table_shows_every_check() -> None:
    """What was found and what to do both reach the reader."""
    console = Console(file=io.StringIO(), width=100)
    render([Check("ffmpeg", "fail", "none", "install it"), Check("GPU", "ok", "none")], console)
    text = console.file.getvalue()
    assert all(word in text for word in ("fail", "ffmpeg", "install it", "GPU", "ok"))
