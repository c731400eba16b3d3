"""An artifact of a run that moves: made when the work begins, brought up to date until it ends."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact

from flows.outage import if_reachable

ARTIFACT_INTERVAL_SEC = 5.0  # often enough to be seen moving; an update costs 0.05 s of CPU


class MovingArtifact:
    """A progress artifact; an API that is away for a while stops neither it nor the run.

    Args:
        key: of the artifact.
        fraction: returns the share that is done, 0 to 1.
        describe: returns what it says.
    """

    def __init__(
        self, key: str, fraction: Callable[[], float], describe: Callable[[], str]
    ) -> None:
        self._key = key
        self._fraction = fraction
        self._describe = describe
        self._id: UUID | None = None
        self._refresher: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    async def begin(self, description: str) -> None:
        """Make the artifact, and begin to bring it up to date."""
        self._id = await acreate_progress_artifact(
            progress=0.0, key=self._key, description=description
        )
        self._refresher = asyncio.create_task(self._refresh())

    def soon(self) -> None:
        """Have it brought up to date now: what it is to show is awaited."""
        self._news.set()

    async def end(self) -> None:
        """Bring it up to date for the last time."""
        if self._refresher is not None:
            self._refresher.cancel()
            await asyncio.gather(self._refresher, return_exceptions=True)
        await self._update()

    async def _refresh(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(ARTIFACT_INTERVAL_SEC):
                    await self._news.wait()
            self._news.clear()
            await self._update()

    async def _update(self) -> None:
        if (artifact_id := self._id) is not None:
            await if_reachable(
                lambda: aupdate_progress_artifact(
                    artifact_id, progress=100 * self._fraction(), description=self._describe()
                )
            )
