"""Before any work starts: does the cluster offer what a run needs? If not, what is missing?

A task whose resource no worker has would wait for ever and say nothing, and a worker that
cannot reach the Prefect API, or runs other versions, fails minutes later and far away.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from distributed import Client

from infra.clusters.workers import GPU, IO, IO_SLOTS_PER_WORKER
from infra.prefect_api import LOOPBACK_HOST, answers
from longform.errors import EnvironmentFaultError

PACKAGES = ("longform", "distributed", "prefect", "cloudpickle")
API_ATTEMPTS, API_PAUSE_SEC = 4, 1.0  # a server that is busy does not answer each time
SHOWN_WORKERS = 3  # of those with the same fault
_LOOPBACK = (LOOPBACK_HOST, "localhost", "::1")


def require_resources(client: Client, slots: int) -> int:
    """Check that some worker offers what the flow asks for; return the macro slots in all.

    Raises:
        EnvironmentFaultError: naming what is missing, where, and the command that brings it.
    """
    workers = client.scheduler_info(n_workers=-1)["workers"]
    gpus = (worker["resources"].get(GPU, 0) for worker in workers.values())
    num_gpus = sum(gpu for gpu in gpus if gpu >= 1)  # with less no chunk could run alone
    has_io = any(worker["resources"].get(IO, 0) >= 1 for worker in workers.values())
    if num_gpus > 0 and has_io:
        return max(1, int(num_gpus * slots))
    missing = "workers" if not workers else GPU if has_io else IO if num_gpus else f"{GPU} and {IO}"
    raise EnvironmentFaultError(
        f"the Dask cluster at {client.scheduler.address} offers no {missing}"
        f"{_offers(workers)}: start workers with "
        f"dask worker {client.scheduler.address} --nthreads {slots + IO_SLOTS_PER_WORKER} "
        f'--resources "GPU=1 IO={IO_SLOTS_PER_WORKER}"'
    )


def require_fit_workers(client: Client, api_url: str | None) -> None:
    """Check that every worker runs this process's versions and reaches the Prefect API.

    Raises:
        EnvironmentFaultError: naming the workers that do not, and what to do.
    """
    try:
        reaches_api: dict[str, bool] = client.run(_reaches, api_url)
    except ModuleNotFoundError as error:
        raise EnvironmentFaultError(
            f"a worker of {client.scheduler.address} has no module {error.name}: install the same "
            "longform there, with the same constraints.txt"
        ) from error
    _require_versions(client)
    _require_api(reaches_api, api_url)


async def _reaches(api_url: str | None) -> bool:
    if api_url is None:
        return True
    for attempt in range(API_ATTEMPTS):
        if attempt:
            await asyncio.sleep(API_PAUSE_SEC)
        # In a thread: a worker that waits here must go on answering its scheduler.
        if await asyncio.to_thread(answers, api_url):
            return True
    return False


def _require_versions(client: Client) -> None:
    found = client.get_versions(packages=PACKAGES)
    ours = _shared(found["client"])
    workers = {at: _shared(worker) for at, worker in found["workers"].items()}
    for name in ours:
        wrong = {at: has[name] for at, has in workers.items() if has[name] != ours[name]}
        if wrong:
            raise EnvironmentFaultError(
                f"workers run other versions of {name} than the {ours[name]} here: "
                f"{_some(f'{at} has {version}' for at, version in wrong.items())}; install the "
                "same longform on all, with the same constraints.txt"
            )


def _shared(process: Mapping[str, Any]) -> dict[str, str]:
    """Return the versions that two processes must share to understand each other."""
    packages = process["packages"]
    python = ".".join(packages["python"].split(".")[:2])
    return {"Python": python} | {name: packages[name] or "none" for name in PACKAGES}


def _require_api(reaches_api: Mapping[str, bool], api_url: str | None) -> None:
    unable = [at for at, reaches in reaches_api.items() if not reaches]
    if not unable:
        return
    is_loopback = urlsplit(api_url or "").hostname in _LOOPBACK
    why = "that is each worker's own machine" if is_loopback else "is the network in between open"
    raise EnvironmentFaultError(
        f"workers cannot reach the Prefect API at {api_url} ({why}): {_some(unable)}; set "
        "PREFECT_API_URL to an address of the server that they reach"
    )


def _offers(workers: Mapping[str, Any]) -> str:
    offers = (
        f"{at} has {_resources(worker['resources']) or 'none'}" for at, worker in workers.items()
    )
    return f" ({_some(offers)})" if workers else ""


def _resources(resources: Mapping[str, float]) -> str:
    return " ".join(f"{name}={amount:g}" for name, amount in resources.items())


def _some(lines: Iterable[str]) -> str:
    """Return the first few of many lines, as one."""
    listed = list(lines)
    more = len(listed) - SHOWN_WORKERS
    return ", ".join(listed[:SHOWN_WORKERS]) + (f" and {more} more" if more > 0 else "")
