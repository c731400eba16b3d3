"""`ssh://user@host1,host2`: a scheduler on the first host and workers on all of them.

Every host has longform installed, at the same path, and lets this user in with a key.
"""

from typing import Any

import dask
from distributed import SpecCluster
from distributed.deploy.ssh import Scheduler, Worker

from infra.clusters.cluster_url import SETTING, ClusterUrl
from infra.clusters.workers import DASK_CONFIG, RESOURCES, num_threads, remote_environment
from longform.errors import EnvironmentFaultError
from longform.extras import require_extra
from longform.params import FrozenModel
from longform.settings import Settings

OPTIONS = ("python", "gpus", "key", "known_hosts", "interface", "port", "connect_timeout")
CONNECT_TIMEOUT_SEC = 20


class SshHost(FrozenModel):
    """One machine: where its SSH server listens, and who is let in (None: as SSH decides)."""

    name: str
    port: int | None
    user: str | None


def open_ssh(url: ClusterUrl, settings: Settings) -> SpecCluster:
    """Start a scheduler and workers over SSH; they end when the cluster is closed.

    Raises:
        EnvironmentFaultError: asyncssh is missing, or a host does not take part.
    """
    asyncssh = require_extra("asyncssh", "this kind of cluster", "ssh")
    url.require_options(OPTIONS)
    with dask.config.set(DASK_CONFIG):
        try:
            return SpecCluster(**ssh_specification(url, settings), name="longform-ssh")
        except (OSError, RuntimeError, asyncssh.Error) as error:
            raise EnvironmentFaultError(
                f"no cluster over SSH at {url.hosts}: {' '.join(str(error).split())}; check that "
                "`ssh HOST PYTHON -m longform` works on each without a password, and name that "
                "Python with ?python="
            ) from error


def ssh_specification(url: ClusterUrl, settings: Settings) -> dict[str, Any]:
    """Return the scheduler and the workers: one for each GPU of a host, or one for its CPU.

    Raises:
        EnvironmentFaultError: no host is named, or a setting cannot be sent.
    """
    hosts = ssh_hosts(url)
    gpus = url.whole_number("gpus", 0)
    bound = {name: url.options[name] for name in ("interface",) if name in url.options}
    python = url.options.get("python")
    environment = remote_environment(settings)
    _require_plain(environment)
    workers = [
        {
            "cls": Worker,
            "options": {
                "address": host.name,
                "connect_options": _connection(host, url),
                "kwargs": _worker_options(settings, environment, gpu) | bound,
                "worker_class": "distributed.Nanny",
                "remote_python": python,
            },
        }
        for host in hosts
        for gpu in (range(gpus) if gpus else (None,))
    ]
    scheduler = {
        "cls": Scheduler,
        "options": {
            "address": hosts[0].name,
            "connect_options": _connection(hosts[0], url),
            "kwargs": {"port": url.whole_number("port", 0), "dashboard_address": ":0"} | bound,
            "remote_python": python,
        },
    }
    return {"workers": dict(enumerate(workers)), "scheduler": scheduler}


def ssh_hosts(url: ClusterUrl) -> tuple[SshHost, ...]:
    """Return the hosts in the order in which they are named.

    Raises:
        EnvironmentFaultError: there is none, or a port is no number.
    """
    user, _, names = url.hosts.rpartition("@")
    found = [_host(name, user or None) for name in names.split(",") if name]
    if not found:
        raise EnvironmentFaultError(f"{SETTING} names no host: write ssh://user@host1,host2")
    return tuple(found)


def _host(name: str, user: str | None) -> SshHost:
    host, colon, port = name.partition(":")
    if colon and not port.isdigit():
        raise EnvironmentFaultError(f"{SETTING}: the port of {name} is not a number")
    return SshHost(name=host, port=int(port) if port else None, user=user)


def _connection(host: SshHost, url: ClusterUrl) -> dict[str, Any]:
    options: dict[str, Any] = {
        "connect_timeout": url.whole_number("connect_timeout", CONNECT_TIMEOUT_SEC)
    }
    if host.port is not None:
        options["port"] = host.port
    if host.user is not None:
        options["username"] = host.user
    if "key" in url.options:
        options["client_keys"] = [url.options["key"]]
    if "known_hosts" in url.options:
        options["known_hosts"] = url.options["known_hosts"]
    return options


def _worker_options(
    settings: Settings, environment: dict[str, str], gpu: int | None
) -> dict[str, Any]:
    own = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": str(gpu)}
    return {
        "nthreads": num_threads(settings),
        "resources": RESOURCES,
        "memory_limit": 0,
        "env": environment | own,
        "dashboard": False,
    }


def _require_plain(environment: dict[str, str]) -> None:
    # Dask writes these into a command line between single quotes, and escapes nothing.
    quoted = sorted(name for name, value in environment.items() if "'" in value)
    if quoted:
        raise EnvironmentFaultError(
            f"{', '.join(quoted)} contains a single quote, which cannot be sent over SSH: "
            "set it on the hosts themselves"
        )
