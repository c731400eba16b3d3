"""Clusters: what they offer, and what is said where they do not."""

import os
import signal
import time
from pathlib import Path

import dask
import pytest
from distributed import Client, LocalCluster

from infra.cluster import GPU, IO, local_cluster, require_resources, visible_gpus
from infra.clusters.workers import DASK_CONFIG
from longform.errors import EnvironmentFaultError
from longform.settings import Settings

RESTART_TIMEOUT_SEC = 120.0  # a worker process of a busy machine imports for long


@pytest.mark.parametrize(
    ("offered", "missing"),
    [({}, "GPU and IO"), ({GPU: 1}, "no IO"), ({IO: 1}, "no GPU")],
)
def test_missing_resources_are_named(offered: dict[str, int], missing: str) -> None:
    """A task for which no worker has the resource would wait for ever, so it is an error."""
    cluster = LocalCluster(
        n_workers=1, processes=False, resources=offered, dashboard_address="127.0.0.1:0"
    )
    with cluster, Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(1)
        with pytest.raises(EnvironmentFaultError, match=missing) as raised:
            require_resources(client, slots=2)
    assert "dask worker tcp" in str(raised.value) or "dask worker inproc" in str(raised.value)


def test_a_local_cluster_offers_what_the_flow_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a GPU the CPU goes by that name, with a slot for each macro chunk in flight.

    Dask's own settings are what they were before.
    """
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    before = _dask_settings()
    settings = Settings(home=tmp_path, slots_per_worker=3)
    with local_cluster(settings) as cluster, Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(1)
        assert require_resources(client, slots=3) == 3
        environment = client.run(_environment_of_worker)
    (seen,) = environment.values()
    assert seen["LONGFORM_HOME"] == str(tmp_path)
    assert int(seen["LONGFORM_CPU_THREADS"]) >= 1
    assert _dask_settings() == before


def _dask_settings() -> dict[str, object]:
    names = (*DASK_CONFIG, "distributed.deploy.lost-worker-timeout")
    return {name: dask.config.get(name) for name in names}


def test_a_worker_that_dies_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its nanny stays, however long that takes: Dask would give it up after a while, here none."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "0s"}),
        local_cluster(Settings(home=tmp_path)) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        client.wait_for_workers(1)
        (dead,) = client.run(os.getpid).values()
        os.kill(dead, signal.SIGKILL)
        deadline_sec = time.monotonic() + RESTART_TIMEOUT_SEC
        while not {*client.run(os.getpid, on_error="ignore").values()} - {dead}:
            assert time.monotonic() < deadline_sec, "no worker has come back"
            time.sleep(0.1)


def _environment_of_worker() -> dict[str, str]:
    import os

    return dict(os.environ)


@pytest.mark.parametrize(
    ("variable", "expected"), [("0,1", ("0", "1")), ("", ()), ("-1", ()), ("GPU-ab", ("GPU-ab",))]
)
def test_visible_gpus_follow_cuda(
    monkeypatch: pytest.MonkeyPatch, variable: str, expected: tuple[str, ...]
) -> None:
    """CUDA_VISIBLE_DEVICES decides, as it does for CUDA itself."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
    assert visible_gpus() == expected
