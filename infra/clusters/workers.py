"""What every worker of longform offers and is told, on whatever kind of cluster it runs."""

from typing import Any

from longform.settings import Settings

GPU = "GPU"
IO = "IO"
IO_SLOTS_PER_WORKER = 2  # boundary searches at a time beside the macro chunks of one worker
RESOURCES = {GPU: 1, IO: IO_SLOTS_PER_WORKER}
# Of `GPU`, for a macro chunk that shares its worker process with no other: all but what Dask may
# lose to rounding when it adds up the shares that are given back.
WHOLE_WORKER = 0.999
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

# Dask keeps the last 1,000 messages to each neighbour, and a scheduler its last 1,000 tasks with
# all that they were given, to look at when something is wrong with Dask itself. A macro chunk is
# sent as 50 KB: that made 50 MB in the flow and more in the scheduler.
NUM_KEPT_MESSAGES = 10
NUM_KEPT_COMPUTATIONS = 1
SHORT_LOGS = {
    "distributed.admin.low-level-log-length": NUM_KEPT_MESSAGES,
    "distributed.diagnostics.computations.max-history": NUM_KEPT_COMPUTATIONS,
}

DASK_CONFIG = SHORT_LOGS | {
    "distributed.nanny.pre-spawn-environ": MALLOC,
    # Dask looks at every thread's stack 100 times a second, for pages that we do not serve.
    "distributed.worker.profile.enabled": False,
    # What an adaptive cluster takes a macro chunk for until it has seen one end. At the
    # default of half a second, ten waiting chunks ask for one worker.
    "distributed.scheduler.unknown-task-duration": "60s",
}
# The same for schedulers and workers that are configured by their environment alone.
DASK_ENVIRONMENT = {
    "DASK_DISTRIBUTED__ADMIN__LOW_LEVEL_LOG_LENGTH": str(NUM_KEPT_MESSAGES),
    "DASK_DISTRIBUTED__WORKER__RESOURCES": str(RESOURCES),
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DASK_DISTRIBUTED__SCHEDULER__UNKNOWN_TASK_DURATION": "60s",
    "DASK_DISTRIBUTED__DIAGNOSTICS__COMPUTATIONS__MAX_HISTORY": str(NUM_KEPT_COMPUTATIONS),
}

# What holds for this machine alone: another host has folders, programs and cores of its own.
_OF_THIS_MACHINE = frozenset(
    {
        *("home", "block_dir", "output_dir", "ffmpeg", "cpu_threads"),
        *("cluster", "workers", "min_workers", "max_workers"),
        *("segmentation_model", "embedding_model"),
    }
)


def num_threads(settings: Settings) -> int:
    """Return how many threads a worker needs: one for each thing that it may do at a time."""
    return settings.slots_per_worker + IO_SLOTS_PER_WORKER


def first_workers(settings: Settings) -> int:
    """Return with how many workers a cluster starts on other machines."""
    return settings.workers or settings.min_workers


def remote_environment(settings: Settings) -> dict[str, str]:
    """Return what a worker on another host is told: how to transcribe; never a secret.

    Only what differs from the defaults, so that a host's own settings hold for the rest.
    """
    fields = Settings.model_fields
    same = {name for name, value in settings if value == fields[name].default}
    left_out = {f"LONGFORM_{name.upper()}" for name in same | _OF_THIS_MACHINE}
    values = settings.to_environment()
    return OPENMP | {name: value for name, value in values.items() if name not in left_out}


def adapt(cluster: Any, settings: Settings) -> None:
    """Let the number of workers follow the work, where the settings give it room."""
    if settings.is_adaptive:
        cluster.adapt(minimum=settings.min_workers, maximum=settings.max_workers)
