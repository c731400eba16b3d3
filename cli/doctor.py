"""`longform doctor`: what longform needs on this machine, what is there, and how to fix it."""

import ctypes
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from cli import completion
from longform.errors import LongformError
from longform.extras import install_hint
from longform.net.policy import redact, scheme_of
from longform.settings import Settings
from longform.storage.store_errors import EXTRAS

Verdict = Literal["ok", "warn", "fail"]

OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)
CUBLAS = "libcublas.so.12"  # what CTranslate2 4 loads, whatever CUDA the driver brings
COMMAND_TIMEOUT_SEC = 20.0
SCHEDULER_TIMEOUT_SEC = 5.0
BYTES_PER_HOUR = 16_000 * 2 * 3_600  # decoded audio in transit: 16 kHz, 16 bit, mono
SCARCE_BYTES = 10 * BYTES_PER_HOUR  # 1.2 GB: a warning
LEAST_BYTES = 300_000_000  # the packaged weights and one hour: a fault
STORE_PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs"}
COLOURS: dict[Verdict, str] = {"ok": "green", "warn": "yellow", "fail": "red"}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `remedy` says what to do; empty where nothing is needed."""

    name: str
    ok: Verdict
    found: str
    remedy: str = ""


def doctor(
    model: Annotated[
        str, typer.Option(help="The Whisper model to look for.", autocompletion=completion.models)
    ] = "base",
) -> None:
    """Check ffmpeg, weights, GPU, Prefect API and Dask, and say how to fix what is missing.

    Exit codes: 0 nothing is broken; 1 something is.

    Examples:

      longform doctor

      longform doctor --model large-v3
    """
    results = checks(Settings(), model)
    render(results, Console())
    raise typer.Exit(int(any(result.ok == "fail" for result in results)))


def checks(settings: Settings, model: str) -> list[Check]:
    """Look at everything, in the order in which a run needs it; nothing raises."""
    return [look(name, settings, model) for name in LOOKS]


def look(name: str, settings: Settings, model: str) -> Check:
    """Look at one thing of `LOOKS`; an error of ours becomes a fault."""
    try:
        return LOOKS[name](settings, model)
    except LongformError as error:
        found, _, remedy = str(error).partition(": ")
        return Check(name, "fail", found, remedy)


def render(results: list[Check], console: Console) -> None:
    """Print the checks as a table."""
    table = Table("", "check", "found", "what to do")
    for result in results:
        colour = COLOURS[result.ok]
        table.add_row(f"[{colour}]{result.ok}[/]", result.name, result.found, result.remedy)
    console.print(table)


def _python(settings: Settings, model: str) -> Check:
    found = f"{sys.version.split()[0]} in {sys.prefix}"
    if OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        return Check("Python", "ok", found)
    return Check("Python", "fail", found, "make a venv with Python 3.11, 3.12 or 3.13")


def _ffmpeg(settings: Settings, model: str) -> Check:
    from longform.media.decode.ffmpeg_args import find_ffmpeg

    binary = find_ffmpeg(settings.ffmpeg)
    first_line = _first_line_of([binary, "-version"])
    if first_line is None:
        remedy = "install ffmpeg, or set LONGFORM_FFMPEG to one that works"
        return Check("ffmpeg", "fail", f"{binary} does not run", remedy)
    release = first_line.removeprefix("ffmpeg version ").split(" ")[0]
    return Check("ffmpeg", "ok", f"{release}, {binary}")


def _disk(settings: Settings, model: str) -> Check:
    home = settings.home
    place = next(path for path in (home.absolute(), *home.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free
    found = f"{free / 1e9:.1f} GB for {home}"
    remedy = "make room, or set LONGFORM_HOME to another disk"
    if free >= SCARCE_BYTES:
        return Check("free disk", "ok", found)
    return Check("free disk", "warn" if free >= LEAST_BYTES else "fail", found, remedy)


def _work_store(settings: Settings, model: str) -> Check:
    from longform.media.spool import work_roots
    from longform.storage.cleanup import find_leftovers

    roots = work_roots(settings)
    leftovers = [found for root in roots for found in find_leftovers(root)]
    if not leftovers:
        return Check("work store", "ok", f"{redact(roots[0])}, nothing left behind")
    num_bytes = sum(leftover.num_bytes for leftover in leftovers)
    found = f"{num_bytes / 1e6:.1f} MB of {len(leftovers)} runs that were killed"
    return Check("work store", "warn", found, "longform clean; the next run does it as well")


def _weights(settings: Settings, model: str) -> Check:
    from longform.speech.engine_choice import REMOTE
    from longform.speech.weights import resolve

    if settings.engine == REMOTE:
        return Check("weights", "ok", "none needed: the model service has them")
    weights = resolve(model, settings.home)
    found = f"{model}, sha256 {weights.sha256[:12]}, from {weights.source}: {weights.path}"
    return Check("weights", "ok", found)


def _service(settings: Settings, model: str) -> Check:
    from longform.speech.engine_choice import REMOTE
    from longform.speech.remote.discovery import find_service

    if settings.engine != REMOTE:
        return Check("model service", "ok", f"none: the engine is {settings.engine}")
    found = find_service(settings.engine_url, settings.engine_api_key, model).service
    return Check("model service", "ok", f"{found.url}, {found.identity}")


def _object_stores(settings: Settings, model: str) -> Check:
    missing = [name for name, package in STORE_PACKAGES.items() if find_spec(package) is None]
    there = [name for name in STORE_PACKAGES if name not in missing]
    found = ", ".join(there) or "none: files and http(s) only"
    needed = {scheme_of(url) for url in (settings.chunk_store_url, settings.work_store_url)}
    if broken := sorted(needed.intersection(missing)):
        extra = ",".join(EXTRAS[name] for name in broken)
        return Check("object stores", "fail", f"no {broken[0]}://", install_hint(extra))
    return Check("object stores", "ok", found)


def _gpu(settings: Settings, model: str) -> Check:
    import ctranslate2

    driver = _first_line_of(
        ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    )
    try:
        num_gpus = int(ctranslate2.get_cuda_device_count())
    except RuntimeError as error:
        return Check("GPU", "warn", f"not usable: {error}", "update the NVIDIA driver; CPU is used")
    if not num_gpus:
        if driver is None:
            return Check("GPU", "ok", "none: the CPU is used")
        remedy = "set CUDA_VISIBLE_DEVICES to it, or update the NVIDIA driver; CPU is used"
        return Check("GPU", "warn", f"{driver}, but CUDA sees none", remedy)
    found = f"{num_gpus} ({driver or 'no nvidia-smi'})"
    if _has_cublas():
        return Check("GPU", "ok", found)
    return Check("GPU", "fail", f"{found}, no {CUBLAS}", install_hint("gpu"))


def _has_cublas() -> bool:
    spec = find_spec("nvidia.cublas") if find_spec("nvidia") else None
    folders = (
        [Path(place) / "lib" for place in (spec.submodule_search_locations or ())] if spec else []
    )
    for candidate in (*(str(folder / CUBLAS) for folder in folders), CUBLAS):
        try:
            ctypes.CDLL(candidate)
        except OSError:
            continue
        return True
    return False


def _prefect(settings: Settings, model: str) -> Check:
    from infra.prefect_api import server_version
    from infra.prefect_server import server_status

    ours = version("prefect")
    status = server_status(settings.home)
    if status.address is None:
        return Check("Prefect API", "ok", f"none configured: a run starts one (Prefect {ours})")
    url = status.address.api_url
    if not status.running:
        remedy = "start it (prefect server start), or unset PREFECT_API_URL"
        return Check("Prefect API", "fail", f"{url} does not answer", remedy)
    theirs = server_version(url)
    found = f"{url}, Prefect {theirs or 'of unknown version'}"
    if theirs == ours:
        return Check("Prefect API", "ok", found)
    return Check("Prefect API", "warn", found, f"this client is Prefect {ours}: run one version")


def _dask(settings: Settings, model: str) -> Check:
    from infra.cluster import chosen_backend, open_existing, require_resources

    place, backend = chosen_backend(settings)
    if backend is not open_existing:
        found = "a cluster of its own for each run" if place.is_local else place.address
        return Check("Dask", "ok", f"{found} (Dask {version('dask')})")
    from distributed import Client

    try:
        with Client(settings.cluster, timeout=SCHEDULER_TIMEOUT_SEC) as client:
            slots = require_resources(client, settings.slots_per_worker)
    except (OSError, ValueError) as error:
        remedy = f"start it (dask scheduler), or correct LONGFORM_CLUSTER: {error}"
        return Check("Dask", "fail", f"no scheduler at {settings.cluster}", remedy)
    return Check("Dask", "ok", f"{settings.cluster}, {slots} macro chunks at a time")


def _first_line_of(command: list[str]) -> str | None:
    """Return the first line that a command prints, or None where it does not run."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_SEC, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return next(iter(done.stdout.splitlines()), None)


LOOKS: dict[str, Callable[[Settings, str], Check]] = {
    "Python": _python,
    "ffmpeg": _ffmpeg,
    "free disk": _disk,
    "work store": _work_store,
    "weights": _weights,
    "model service": _service,
    "object stores": _object_stores,
    "GPU": _gpu,
    "Prefect API": _prefect,
    "Dask": _dask,
}
