"""Where macro chunks run: a local Dask cluster, or the scheduler that the operator names.

Both offer the same two resources, so that the flow has one shape: `GPU`, of which a macro
chunk takes `1/slots`, and `IO`, of which a boundary search takes one. A machine without a
GPU declares its CPU under the name `GPU`.
"""

import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import resource_tracker
from pathlib import Path
from types import TracebackType
from typing import Any

import dask
from distributed import Client, Nanny, Scheduler, SpecCluster

from longform.errors import EnvironmentFaultError
from longform.settings import Settings

GPU = "GPU"
IO = "IO"
IO_SLOTS_PER_WORKER = 2  # boundary searches at a time beside the macro chunks of one worker
# Idle threads of OpenMP spin for milliseconds by default: CPU time that decoding and VAD,
# which run beside the model, then lack. Not spinning at all made decoding 12 % slower.
OPENMP = {"GOMP_SPINCOUNT": "20000"}
# Dask has its workers give every freed 64 KiB back to the system, and mapping those pages
# anew took a fifth of all CPU time: a model takes and frees tens of MB in each of its layers.
# These must be in place before the process starts.
MALLOC = {
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
    "MALLOC_MMAP_THRESHOLD_": str(16 << 20),
    "MALLOC_ARENA_MAX": "2",
}

DASK_CONFIG = {
    "distributed.nanny.pre-spawn-environ": MALLOC,
    # Dask looks at every thread's stack 100 times a second, for pages that we do not serve.
    "distributed.worker.profile.enabled": False,
}
# A worker process that dies is started again by its nanny. Dask would close that nanny after 15 s,
# which on a busy machine is before the new process has imported all it needs.
LOST_WORKER = {"distributed.deploy.lost-worker-timeout": "10 minutes"}


class ExistingCluster:
    """A scheduler that somebody else runs; entering gives its address, which a client takes."""

    def __init__(self, address: str) -> None:
        self.scheduler_address = address

    def __enter__(self) -> str:
        return self.scheduler_address

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the scheduler running: it is not ours."""


def open_cluster() -> SpecCluster | ExistingCluster:
    """Open the cluster that the settings of this process name."""
    settings = Settings()
    if settings.cluster == "local":
        return local_cluster(settings)
    return ExistingCluster(settings.cluster)


def visible_gpus() -> tuple[str, ...]:
    """Return the GPUs of this machine that this process may use, as CUDA names them."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return tuple(name for name in chosen.split(",") if name and name != "-1")
    devices = Path("/dev").glob("nvidia[0-9]*")
    return tuple(
        sorted(match[1] for path in devices if (match := re.match(r"nvidia(\d+)$", path.name)))
    )


def local_cluster(settings: Settings) -> SpecCluster:
    """Start a cluster on this machine: one worker process per GPU, or one for the CPU.

    dask-cuda would pin another distributed, so each Nanny gets its GPU by environment.
    """
    gpus = visible_gpus()
    num_workers = settings.workers or max(1, len(gpus))
    cpu_threads = settings.cpu_threads or max(1, (os.cpu_count() or 1) // num_workers)
    workers = {
        index: {
            "cls": Nanny,
            "options": _worker_options(
                settings, gpus[index % len(gpus)] if gpus else None, cpu_threads
            ),
        }
        for index in range(num_workers)
    }
    scheduler = {
        "cls": Scheduler,
        "options": {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"},
    }
    # Dask reads this one when a worker dies, so it is set for good.
    dask.config.set(LOST_WORKER)
    # In a thread of its own, so that Ctrl-C reaches the caller all the while.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_start_deaf_to_interrupts, workers, scheduler).result()


def _start_deaf_to_interrupts(workers: dict[int, Any], scheduler: dict[str, Any]) -> SpecCluster:
    """Start a cluster whose processes do not see Ctrl-C: it is for the caller to end them.

    A terminal sends SIGINT to every process of the command. Threads and processes inherit
    from who starts them which signals are blocked, those that are started later as well.
    """
    resource_tracker.ensure_running()  # when it starts, it unblocks SIGINT
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    with dask.config.set(DASK_CONFIG):
        return SpecCluster(workers=workers, scheduler=scheduler, name="longform", silence_logs=40)


def _worker_options(settings: Settings, gpu: str | None, cpu_threads: int) -> dict[str, Any]:
    environment = settings.to_environment() | OPENMP
    environment["LONGFORM_CPU_THREADS"] = str(cpu_threads)
    if gpu is not None:
        environment["CUDA_VISIBLE_DEVICES"] = gpu
    return {
        "host": "127.0.0.1",
        "nthreads": settings.slots_per_worker + IO_SLOTS_PER_WORKER,
        "resources": {GPU: 1, IO: IO_SLOTS_PER_WORKER},
        "memory_limit": 0,  # memory is bounded by design; a pause at 80% would only stall
        "env": environment,
        "dashboard": False,
        "silence_logs": 40,
    }


def require_resources(client: Client, slots: int) -> int:
    """Check that some worker offers what the flow asks for; return the macro slots in all.

    A task whose resource no worker has would wait for ever and say nothing.

    Raises:
        EnvironmentFaultError: naming what is missing and the command that brings it.
    """
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    num_gpus = sum(worker["resources"].get(GPU, 0) for worker in workers)
    has_io = any(worker["resources"].get(IO, 0) >= 1 for worker in workers)
    if num_gpus > 0 and has_io:
        return max(1, int(num_gpus * slots))
    missing = "workers" if not workers else GPU if has_io else IO if num_gpus else f"{GPU} and {IO}"
    raise EnvironmentFaultError(
        f"the Dask cluster at {client.scheduler.address} offers no {missing}: start workers with "
        f"dask worker {client.scheduler.address} --nthreads {slots + IO_SLOTS_PER_WORKER} "
        f'--resources "GPU=1 IO={IO_SLOTS_PER_WORKER}"'
    )
