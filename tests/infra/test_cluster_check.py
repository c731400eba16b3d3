"""What is checked on a cluster before any work starts."""

from collections.abc import Iterator

import pytest
from distributed import Client, LocalCluster

from infra import cluster_check
from infra.cluster_check import WorkerView, require_fit_workers, require_resources, versions
from longform.errors import EnvironmentFaultError
from tests.support.range_server import range_server


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Return a client of a cluster in this process, whose two workers offer only IO."""
    cluster = LocalCluster(
        n_workers=2, processes=False, resources={"IO": 2}, dashboard_address="127.0.0.1:0"
    )
    with cluster, Client(cluster, set_as_default=False) as opened:
        opened.wait_for_workers(2)
        yield opened


def test_what_each_worker_offers_is_listed(client: Client) -> None:
    """The message names what is missing, what each worker has instead, and the command."""
    with pytest.raises(EnvironmentFaultError, match="offers no GPU") as caught:
        require_resources(client, slots=3)
    assert str(caught.value).count("has IO=2") == 2
    assert '--nthreads 5 --resources "GPU=1 IO=2"' in str(caught.value)


def test_workers_like_this_process_are_fit(client: Client) -> None:
    """The same versions and an API that answers: nothing is said."""
    with range_server() as server:
        require_fit_workers(client, server.url("/api"))
    require_fit_workers(client, None)


def test_an_api_that_workers_cannot_reach_is_named(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 127.0.0.1 in it, the message says whose machine that is, and what to set."""
    monkeypatch.setattr(cluster_check, "API_PAUSE_SEC", 0.0)
    with pytest.raises(EnvironmentFaultError, match="each worker's own machine") as caught:
        require_fit_workers(client, "http://127.0.0.1:9/api")
    assert "set PREFECT_API_URL" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_busy_api_is_asked_again(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not answer at first is not taken for one that is out of reach."""
    monkeypatch.setattr(cluster_check, "API_PAUSE_SEC", 0.0)
    told: list[str] = []

    def answers(api_url: str) -> bool:
        told.append(api_url)
        return len(told) > 1

    monkeypatch.setattr(cluster_check, "answers", answers)
    require_fit_workers(client, "http://busy/api")


def test_other_versions_are_named(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker with another version of a package that both sides need is refused, by name."""
    old = WorkerView(versions=versions() | {"distributed": "2020.1.0"}, reaches_api=True)
    views = {f"tcp://10.0.0.{number}:1": old for number in range(5)}
    monkeypatch.setattr(client, "run", lambda *_: views)
    with pytest.raises(EnvironmentFaultError, match="other versions of distributed") as caught:
        require_fit_workers(client, None)
    assert "tcp://10.0.0.0:1 has 2020.1.0" in str(caught.value)
    assert "and 2 more" in str(caught.value)


def test_a_worker_without_longform_is_named(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a worker cannot import is what is to be installed there."""

    def run(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'infra'", name="infra")

    monkeypatch.setattr(client, "run", run)
    with pytest.raises(EnvironmentFaultError, match="has no module infra: install the same"):
        require_fit_workers(client, None)


def test_a_package_that_is_missing_is_a_version_like_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A package that is not installed differs from any version."""
    monkeypatch.setattr(cluster_check, "PACKAGES", ("no-such-package",))
    assert versions()["no-such-package"] == "not installed"
