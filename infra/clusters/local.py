"""`local`: a Dask cluster on this machine, one worker process per GPU, or one for the CPU."""

import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import dask
from distributed import Nanny, Scheduler, SpecCluster

from infra.clusters.cluster_url import ClusterUrl
from infra.clusters.workers import DASK_CONFIG, OPENMP, RESOURCES, adapt, num_threads
from longform.settings import Settings


def visible_gpus() -> tuple[str, ...]:
    """Return the GPUs of this machine that this process may use, as CUDA names them."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return tuple(name for name in chosen.split(",") if name and name != "-1")
    devices = Path("/dev").glob("nvidia[0-9]*")
    return tuple(
        sorted(match[1] for path in devices if (match := re.match(r"nvidia(\d+)$", path.name)))
    )


class LocalCluster(SpecCluster):  # type: ignore[misc]  # distributed is not type-checked
    """Workers of this machine; each that is added takes the first GPU that none of them has.

    dask-cuda would pin another distributed, so each Nanny gets its GPU by environment.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._gpus = visible_gpus()
        first = settings.workers or (
            settings.min_workers if settings.is_adaptive else max(1, len(self._gpus))
        )
        self._most = max(first, settings.max_workers or 0)
        scheduler = {
            "cls": Scheduler,
            "options": {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"},
        }
        workers = {index: self._worker(index) for index in range(first)}
        super().__init__(workers=workers, scheduler=scheduler, name="longform", silence_logs=40)

    def new_worker_spec(self) -> dict[int, dict[str, Any]]:
        """Return the worker that comes next when the cluster grows."""
        index = next(index for index in range(self._most) if index not in self.worker_spec)
        return {index: self._worker(index)}

    def _update_worker_status(self, op: str, message: Any) -> None:
        """Note that a worker has come or gone, and leave it to the nanny of one that has died.

        `SpecCluster` would look 15 s later whether the worker is back, and close its nanny for good
        where it is not: on a busy machine, or because it has just died again. The flow itself
        notices when no worker comes back.
        """
        super(SpecCluster, self)._update_worker_status(op, message)

    def _worker(self, index: int) -> dict[str, Any]:
        gpu = self._gpus[index % len(self._gpus)] if self._gpus else None
        cpu_threads = self._settings.cpu_threads or max(1, (os.cpu_count() or 1) // self._most)
        return {"cls": Nanny, "options": _worker_options(self._settings, gpu, cpu_threads)}


def local_cluster(settings: Settings) -> LocalCluster:
    """Start a cluster on this machine."""
    # In a thread of its own, so that Ctrl-C reaches the caller all the while.
    with ThreadPoolExecutor(1) as thread:
        cluster = thread.submit(_start_ignoring_interrupts, settings).result()
    adapt(cluster, settings)
    return cluster


def open_local(url: ClusterUrl, settings: Settings) -> LocalCluster:
    """Start a cluster on this machine, for one run."""
    return local_cluster(settings)


def _start_ignoring_interrupts(settings: Settings) -> LocalCluster:
    """Start a cluster whose processes do not see Ctrl-C: it is for the caller to end them.

    A terminal sends SIGINT to every process of the command. Threads and processes inherit
    from who starts them which signals are blocked, those that are started later as well.
    """
    resource_tracker.ensure_running()  # when it starts, it unblocks SIGINT
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    with dask.config.set(DASK_CONFIG):
        return LocalCluster(settings)


def _worker_options(settings: Settings, gpu: str | None, cpu_threads: int) -> dict[str, Any]:
    environment = settings.to_environment() | OPENMP
    environment["LONGFORM_CPU_THREADS"] = str(cpu_threads)
    if gpu is not None:
        environment["CUDA_VISIBLE_DEVICES"] = gpu
    return {
        "host": "127.0.0.1",
        "nthreads": num_threads(settings),
        "resources": RESOURCES,
        "memory_limit": 0,  # memory is bounded by design; a pause at 80% would only stall
        "env": environment,
        "dashboard": False,
        "silence_logs": 40,
    }
