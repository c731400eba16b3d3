"""A real Dask Gateway on 127.0.0.1, whose clusters are processes of this machine."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_TIMEOUT_SEC = 90

CONFIG = """
from dask_gateway_server.options import Mapping, Options

c.DaskGateway.backend_class = "dask_gateway_server.backends.local.UnsafeLocalBackend"
c.DaskGateway.log_level = "INFO"
c.Proxy.address = "127.0.0.1:{web}"
c.Proxy.tcp_address = "127.0.0.1:{comm}"
c.UnsafeLocalBackend.clusters_directory = "{folder}"
c.UnsafeLocalBackend.inherited_environment = ["PATH", "PYTHONPATH", "HOME", "LANG"]
c.UnsafeLocalBackend.cluster_options = Options(
    Mapping("environment", default={{}}, label="Variables"),
)
c.ClusterConfig.scheduler_cmd = ["dask", "scheduler"]
c.ClusterConfig.worker_cmd = ["dask", "worker"]
c.ClusterConfig.worker_cores = 4
c.ClusterConfig.cluster_max_workers = 2
"""


@contextmanager
def gateway_server(folder: Path) -> Iterator[str]:
    """Run a gateway that lets users set the environment; yield the setting that names it."""
    web, comm = _free_port(), _free_port()
    path = folder / "gateway_config.py"
    path.write_text(CONFIG.format(web=web, comm=comm, folder=folder / "clusters"))
    (folder / "clusters").mkdir()
    program = Path(sys.executable).with_name("dask-gateway-server")
    environment = dict(os.environ) | {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    with (folder / "gateway.log").open("wb") as log:
        process = subprocess.Popen(
            [program, "-f", path], cwd=folder, env=environment, stdout=log, stderr=log
        )
    try:
        _wait(web, process, folder / "gateway.log")
        yield f"gateway+http://127.0.0.1:{web}?proxy=tls://127.0.0.1:{comm}"
    finally:
        process.terminate()
        process.wait(START_TIMEOUT_SEC)


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    import httpx

    deadline = time.monotonic() + START_TIMEOUT_SEC
    while True:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/api/health", trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
