"""`gateway+https://host`: a cluster from a Dask Gateway, which decides what its users may have."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from infra.clusters.cluster_url import ClusterUrl
from infra.clusters.workers import DASK_ENVIRONMENT, adapt, first_workers, remote_environment
from longform.errors import EnvironmentFaultError
from longform.extras import require_extra
from longform.settings import Settings

OPTIONS = ("cluster", "proxy", "auth")
# The name under which most gateways let a user set variables for scheduler and workers.
ENVIRONMENT_OPTION = "environment"
# A client that is forgotten closes itself again, on a loop that has ended, and raises in the
# middle of whatever Python does then. So none is forgotten; a process has one for each run.
_clients: list[Any] = []


@contextmanager
def open_gateway(url: ClusterUrl, settings: Settings) -> Iterator[Any]:
    """Have the gateway start a cluster, or connect to the one that `?cluster=` names.

    One that was started here ends with the context. Where the gateway lets users set the
    environment, workers get longform's settings and resources through it; elsewhere its
    operator has to set them.

    Raises:
        EnvironmentFaultError: dask-gateway is missing, or the gateway gives no cluster.
    """
    library = require_extra("dask_gateway", "this kind of cluster", "gateway")
    url.require_options(OPTIONS)
    server_url = f"{url.scheme.removeprefix('gateway+')}://{url.hosts}/{url.path}".rstrip("/")
    options = {"proxy_address": url.options.get("proxy"), "auth": url.options.get("auth")}
    with ExitStack() as stack:
        try:
            gateway = library.Gateway(server_url, **options)
            _clients.append(gateway)
            stack.callback(gateway.close)
            cluster = _cluster(gateway, url, settings)
        except _failures(library) as error:
            raise EnvironmentFaultError(
                f"the Dask Gateway at {server_url} gives no cluster: "
                f"{' '.join(str(error).split())}; check its address, ?auth= and the limits that "
                "its operator has set"
            ) from error
        stack.pop_all()  # from here on the cluster closes the gateway's client
    with cluster:
        yield cluster


def _failures(library: Any) -> tuple[type[Exception], ...]:
    transport = require_extra("aiohttp", "this kind of cluster", "gateway").ClientError
    refused = (library.GatewayClusterError, library.GatewayServerError)
    return (OSError, ValueError, transport, *refused)


def _cluster(gateway: Any, url: ClusterUrl, settings: Settings) -> Any:
    if "cluster" in url.options:
        return gateway.connect(url.options["cluster"], shutdown_on_close=False)
    options = gateway.cluster_options()
    if ENVIRONMENT_OPTION in options:
        options[ENVIRONMENT_OPTION] = remote_environment(settings) | DASK_ENVIRONMENT
    cluster = gateway.new_cluster(options, shutdown_on_close=True)
    if settings.is_adaptive:
        adapt(cluster, settings)
    else:
        cluster.scale(first_workers(settings))
    return cluster
