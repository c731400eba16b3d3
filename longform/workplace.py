"""Where a run keeps what it needs only while it lasts: decoded audio, and downloads."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from longform.media.work_folder import is_local
from longform.media.work_store import WorkLimits, WorkRun, open_run
from longform.settings import Settings


@dataclass(frozen=True, slots=True)
class Workplace:
    """The run's folder in the work store, and a folder of this host for whole downloads."""

    spool: WorkRun
    scratch_dir: Path


def work_roots(settings: Settings) -> tuple[str, ...]:
    """Return where runs keep such files: the work store, and a folder where that is none."""
    store = settings.work_store_url
    return (store,) if is_local(store) else (store, str(settings.home.absolute() / "work"))


@asynccontextmanager
async def open_workplace(settings: Settings) -> AsyncIterator[Workplace]:
    """Open a run's places; they are removed however the context is left.

    Raises:
        OutputError: they cannot be written.
    """
    limits = WorkLimits(
        max_bytes=settings.work_max_bytes, reserve_bytes=settings.work_reserve_bytes
    )
    async with AsyncExitStack() as stack:
        runs = [
            await stack.enter_async_context(open_run(root, limits)) for root in work_roots(settings)
        ]
        yield Workplace(spool=runs[0], scratch_dir=await runs[-1].scratch_dir())
