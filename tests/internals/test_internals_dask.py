"""What we use of Dask beyond its documentation: SSH workers, worker specifications, settings."""

import inspect

import dask
import pytest

from infra.clusters.workers import DASK_CONFIG, DASK_ENVIRONMENT
from tests.support.library import Library

DISTRIBUTED = Library("distributed")


def test_ssh_workers_and_schedulers_are_made_as_we_make_them() -> None:
    """`infra/clusters/ssh.py` has a specification of its own: one process for each GPU."""
    common = {"address": "host", "connect_options": {}, "kwargs": {}, "remote_python": None}
    DISTRIBUTED.require_call("distributed.deploy.ssh.Scheduler", **common)
    DISTRIBUTED.require_call(
        "distributed.deploy.ssh.Worker", "scheduler", **common, worker_class="distributed.Nanny"
    )


def test_a_cluster_asks_for_the_worker_that_comes_next() -> None:
    """Each new worker of `LocalCluster` gets a GPU of its own: `new_worker_spec` is asked."""
    cluster = "distributed.SpecCluster"
    DISTRIBUTED.require_call(f"{cluster}.new_worker_spec", None)
    DISTRIBUTED.require_attributes(cluster, "worker_spec")
    code = DISTRIBUTED.find(f"{cluster}.scale").__code__
    DISTRIBUTED.require("new_worker_spec" in code.co_names, "SpecCluster.scale asks for workers")
    DISTRIBUTED.require_call(cluster, workers={}, scheduler={}, name="longform", silence_logs=40)


def test_a_cluster_gives_up_the_nannies_of_dead_workers_in_one_place() -> None:
    """`LocalCluster` passes by what `SpecCluster` does there, and keeps the notes of `Cluster`."""
    timed, plain = (
        DISTRIBUTED.find(f"distributed.deploy.{name}._update_worker_status").__code__
        for name in ("spec.SpecCluster", "cluster.Cluster")
    )
    setting = "distributed.deploy.lost-worker-timeout"
    DISTRIBUTED.require(setting in timed.co_consts, "SpecCluster waits for a lost worker")
    DISTRIBUTED.require("super" in timed.co_names, "and leaves the rest to Cluster")
    DISTRIBUTED.require("scheduler_info" in plain.co_names, "Cluster notes the workers there are")
    DISTRIBUTED.require(plain.co_argcount == 3, "they are told what has happened, and to whom")


@pytest.mark.parametrize("name", sorted(DASK_CONFIG))
def test_dask_knows_the_settings_that_we_change(name: str) -> None:
    """Dask passes over a setting that it does not know, without a word."""
    DISTRIBUTED.require(dask.config.get(name, None) is not None, f"{name} is a setting")


@pytest.mark.parametrize("name", sorted(DASK_ENVIRONMENT))
def test_dask_knows_the_variables_that_we_set(name: str) -> None:
    """So do schedulers and workers that are configured by their environment alone."""
    (setting,) = dask.config.collect_env({name: DASK_ENVIRONMENT[name]})
    known = dask.config.get(name.removeprefix("DASK_").replace("__", ".").lower(), "unknown")
    DISTRIBUTED.require(known != "unknown", f"{name} sets {setting}")


def test_a_nanny_takes_what_we_give_it() -> None:
    """Resources, environment and memory limit of local workers."""
    DISTRIBUTED.require_call(
        "distributed.Nanny",
        *("scheduler",),
        host="127.0.0.1",
        nthreads=1,
        resources={},
        memory_limit=0,
        env={},
        dashboard=False,
        silence_logs=40,
    )


def test_workers_and_clients_exchange_events() -> None:
    """`infra/chunk_events.py` tells the flow of chunks over Dask's event log."""
    DISTRIBUTED.require_call("distributed.Worker.log_event", None, "topic", {})
    DISTRIBUTED.require_call("distributed.Client.subscribe_topic", None, "topic", print)
    DISTRIBUTED.require_call("distributed.Client.unsubscribe_topic", None, "topic")


def test_a_client_can_be_asked_about_its_cluster() -> None:
    """`flows/run_cluster.py` sees by these whether workers are left, and has them stop."""
    client = "distributed.Client"
    DISTRIBUTED.require_call(f"{client}.scheduler_info", None, n_workers=-1)
    DISTRIBUTED.require_call(f"{client}.run", None, print, "execution", on_error="ignore")
    DISTRIBUTED.require_attributes(client, "status")


def test_python_starts_its_resource_tracker_on_demand() -> None:
    """Started first, it does not unblock SIGINT in the processes of a local cluster."""
    tracker = "multiprocessing.resource_tracker"
    DISTRIBUTED.require_call(f"{tracker}.ensure_running")
    assert "SIGINT" in inspect.getsource(DISTRIBUTED.find(tracker))
