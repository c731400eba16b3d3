"""`kubernetes://namespace/name`: a cluster that the Dask operator runs.

Without `?image=` the DaskCluster of that name is used as it is; with it, one is made for the
run, under that name and a suffix of its own, and deleted after it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from infra.clusters.cluster_url import SETTING, ClusterUrl
from infra.clusters.kubernetes_spec import DaskClusterPlan
from infra.clusters.workers import adapt, first_workers
from longform.errors import EnvironmentFaultError
from longform.extras import require_extra
from longform.settings import Settings

OPTIONS = ("image", "secret", "claim", "gpus", "cpus", "memory")
SUFFIX_CHARS = 8


@contextmanager
def open_kubernetes(url: ClusterUrl, settings: Settings) -> Iterator[Any]:
    """Use a DaskCluster, or have one made for this run.

    Raises:
        EnvironmentFaultError: dask-kubernetes is missing, no cluster can be reached, or the
            operator does not answer.
    """
    module = "dask_kubernetes.operator.kubecluster.kubecluster"
    library = require_extra(module, "this kind of cluster", "kubernetes")
    url.require_options(OPTIONS)
    wanted = _arguments(url, settings)
    mode = library.CreateMode[wanted.pop("create_mode")]
    try:
        cluster = library.KubeCluster(quiet=True, create_mode=mode, **wanted)
    except _failures() as error:
        raise EnvironmentFaultError(
            f"no DaskCluster for {url.address}: {' '.join(str(error).split())}; check the "
            "kubeconfig, that the Dask operator is installed, and `kubectl get daskclusters`"
        ) from error
    with cluster:
        if "image" in url.options:
            adapt(cluster, settings)
        yield cluster


def _failures() -> tuple[type[Exception], ...]:
    ours = require_extra("dask_kubernetes.exceptions", "this kind of cluster", "kubernetes")
    api = require_extra("kr8s", "this kind of cluster", "kubernetes")
    return (
        *(OSError, RuntimeError, ValueError),
        *(ours.ValidationError, ours.SchedulerStartupError, ours.CrashLoopBackOffError),
        *(api.NotFoundError, api.ServerError, api.APITimeoutError, api.ConnectionClosedError),
    )


def cluster_plan(url: ClusterUrl, settings: Settings) -> DaskClusterPlan:
    """Return the cluster that the setting describes.

    Raises:
        EnvironmentFaultError: an option is wrong.
    """
    chosen = {name: url.options[name] for name in ("secret", "claim") if name in url.options}
    if "memory" in url.options:
        chosen["worker_memory"] = url.options["memory"]
    return DaskClusterPlan(
        name=f"{url.path}-{uuid4().hex[:SUFFIX_CHARS]}",
        namespace=url.hosts,
        image=url.options["image"],
        gpus_per_worker=url.whole_number("gpus", 1),
        worker_cpus=url.whole_number("cpus", 4),
        workers=first_workers(settings),
        **chosen,
    )


def _arguments(url: ClusterUrl, settings: Settings) -> dict[str, Any]:
    if not url.hosts or not url.path or "/" in url.path:
        raise EnvironmentFaultError(f"{SETTING}: write kubernetes://namespace/name")
    if "image" in url.options:
        spec = cluster_plan(url, settings).resource(settings)
        return {
            "namespace": url.hosts,
            "custom_cluster_spec": spec,
            "create_mode": "CREATE_ONLY",
            "shutdown_on_close": True,
        }
    return {
        "namespace": url.hosts,
        "name": url.path,
        "create_mode": "CONNECT_ONLY",
        "shutdown_on_close": False,
    }
