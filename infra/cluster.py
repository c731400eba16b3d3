"""Where macro chunks run: the kind of cluster that one setting, LONGFORM_CLUSTER, chooses.

All offer the same two resources, so that the flow has one shape: `GPU`, of which a macro
chunk takes `1/slots`, and `IO`, of which a boundary search takes one. A machine without a
GPU declares its CPU under the name `GPU`.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from infra.cluster_check import require_resources
from infra.clusters.cluster_url import SETTING, ClusterUrl, cluster_url
from infra.clusters.dask_gateway import open_gateway
from infra.clusters.kubernetes import open_kubernetes
from infra.clusters.local import local_cluster, open_local, visible_gpus
from infra.clusters.ssh import open_ssh
from infra.clusters.workers import GPU, IO
from longform.errors import EnvironmentFaultError
from longform.settings import Settings

__all__ = [
    "BACKENDS",
    "GPU",
    "IO",
    "chosen_backend",
    "local_cluster",
    "open_cluster",
    "open_existing",
    "require_resources",
    "visible_gpus",
]

# What a backend opens: entering it gives a cluster, or an address, that a Dask client takes.
Backend = Callable[[ClusterUrl, Settings], AbstractContextManager[Any]]


def open_existing(url: ClusterUrl, settings: Settings) -> AbstractContextManager[str]:
    """Use a scheduler as it is: its operator decides on its workers, and on their number.

    Raises:
        EnvironmentFaultError: no host is named.
    """
    if not url.hosts:
        raise EnvironmentFaultError(f"{SETTING}={url.address} names no scheduler: tcp://host:8786")
    return nullcontext(url.address)


BACKENDS: dict[str, Backend] = {
    "local": open_local,
    "tcp": open_existing,
    "tls": open_existing,
    "ws": open_existing,
    "wss": open_existing,
    "ucx": open_existing,
    "ssh": open_ssh,
    "kubernetes": open_kubernetes,
    "gateway+https": open_gateway,
    "gateway+http": open_gateway,
}


def open_cluster(settings: Settings) -> AbstractContextManager[Any]:
    """Open the cluster that the settings name.

    Raises:
        EnvironmentFaultError: the setting names no kind of cluster, or it cannot be opened.
    """
    url, backend = chosen_backend(settings)
    return backend(url, settings)


def chosen_backend(settings: Settings) -> tuple[ClusterUrl, Backend]:
    """Return what the settings name, and what opens it.

    Raises:
        EnvironmentFaultError: the setting names no kind of cluster.
    """
    url = cluster_url(settings.cluster)
    backend = BACKENDS.get(url.scheme)
    if backend is None:
        raise EnvironmentFaultError(
            f"{SETTING}={settings.cluster} names no kind of cluster: write local, "
            "tcp://host:8786, ssh://user@host1,host2, kubernetes://namespace/name or "
            "gateway+https://host"
        )
    return url, backend
