"""The Dask worker plugin that loads the speech engine, once per worker process."""

import asyncio
from typing import Any

from distributed import Client, WorkerPlugin

from longform.chunking.vad import silero_model
from longform.settings import Settings
from longform.speech.engine import EngineSpec
from longform.speech.engine_choice import worker_engine


class EnginePlugin(WorkerPlugin):  # type: ignore[misc]  # distributed is not type-checked
    """Loads the engine of `spec` when a worker starts, or now where it has started already.

    Workers that join later load it too. The engine itself lives in a plain module of the
    domain: what a task function refers to is pickled by value, and would not be shared.
    """

    def __init__(self, spec: EngineSpec) -> None:
        self.spec = spec
        self.name = f"longform-engine-{spec.model_dump_json()}"

    async def setup(self, worker: Any) -> None:
        """Load in threads, so that the worker keeps answering its scheduler.

        What finds speech is loaded beside it: the first macro chunk needs that first.
        """
        await asyncio.gather(
            asyncio.to_thread(worker_engine, self.spec, Settings()),
            asyncio.to_thread(silero_model),
        )


async def load_engines(client: Client, spec: EngineSpec) -> None:
    """Have every worker of the cluster load the engine of `spec`; done when all have."""
    await asyncio.to_thread(client.register_plugin, EnginePlugin(spec))
