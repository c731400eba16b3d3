"""The protocol of object stores, and the way to their libraries, which live on a loop of fsspec's.

Every call runs as a coroutine on that loop and never in a thread of a pool: a request that
hangs is cancelled when its time is up, and holds nothing that other work needs.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class ObjectStatus:
    """What a store says about an object.

    `version` changes when the object is replaced. `checksum` depends on its content alone; None
    where the store has none.
    """

    length_bytes: int
    version: str | None
    checksum: str | None = None
    is_folder: bool = False


class ObjectClient(Protocol):
    """One object in a store. Raises what the store's library raises: see `object_errors`."""

    async def status(self) -> ObjectStatus:
        """Ask for length, version and checksum, past every cache."""
        ...

    async def read(self, start: int, end: int, version: str | None) -> bytes:
        """Read `[start, end)` of this very version; None takes any.

        Raises:
            SourceChangedError: there is another version now.
        """
        ...


async def on_store_loop(file_system: Any, work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine of an fsspec file system on its loop; cancelling reaches it there."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, file_system.loop))
