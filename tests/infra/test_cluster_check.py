"""What is checked on a cluster before any work starts."""

import sys
from collections.abc import Iterator

import pytest
from distributed import Client, LocalCluster

from infra import cluster_check
from infra.cluster_check import PACKAGES, require_fit_workers, require_resources
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


def tell_version(
    client: Client, monkeypatch: pytest.MonkeyPatch, package: str, version: str | None
) -> None:
    """Have five workers tell that they have this version of a package."""
    told = client.get_versions(packages=PACKAGES)
    other = {"packages": told["client"]["packages"] | {package: version}}
    told["workers"] = {f"tcp://10.0.0.{number}:1": other for number in range(5)}
    monkeypatch.setattr(client, "get_versions", lambda packages: told)


@pytest.mark.parametrize(
    ("package", "version", "shown"),
    [
        ("distributed", "2020.1.0", "distributed"),
        ("prefect", "2.0", "prefect"),
        ("python", "3.9.1.final.0", "Python"),
    ],
)
def test_other_versions_are_named(
    package: str, version: str, shown: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker with another version of what both sides need is refused, by name."""
    tell_version(client, monkeypatch, package, version)
    with pytest.raises(EnvironmentFaultError, match=f"other versions of {shown}") as caught:
        require_fit_workers(client, None)
    assert f"tcp://10.0.0.0:1 has {version[:3]}" in str(caught.value)
    assert "and 2 more" in str(caught.value)


def test_another_build_of_the_same_python_is_fit(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last part of Python's version does not count."""
    major, minor, *_ = sys.version_info
    tell_version(client, monkeypatch, "python", f"{major}.{minor}.999.final.0")
    require_fit_workers(client, None)


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
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that is not installed differs from any version."""
    tell_version(client, monkeypatch, "longform", None)
    with pytest.raises(EnvironmentFaultError, match=r"tcp://10\.0\.0\.0:1 has none,"):
        require_fit_workers(client, None)
