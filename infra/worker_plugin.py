"""The Dask worker plugin that loads the speech engine, once per worker process."""

import asyncio
import atexit
import gc
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from distributed import WorkerPlugin

from longform.chunking.vad import silero_model
from longform.settings import Settings
from longform.speech.engine import EngineSpec
from longform.speech.engine_choice import worker_engine


class EnginePlugin(WorkerPlugin):  # type: ignore[misc]  # distributed is not type-checked
    """Loads the engine of `spec` when a worker starts, or now where it has started already.

    Workers that join later load it too. The engine itself lives in a plain module of the
    domain: what a task function refers to is pickled by value, and would not be shared.

    Args:
        spec: the engine.
        modules: what the first task would import otherwise, Prefect above all.
    """

    def __init__(self, spec: EngineSpec, modules: Sequence[str] = ()) -> None:
        self.spec = spec
        self.modules = modules
        self.name = f"longform-engine-{spec.model_dump_json()}"

    async def setup(self, worker: Any) -> None:
        """Load in threads, so that the worker keeps answering its scheduler.

        What finds speech is loaded beside it: the first macro chunk needs that first.
        """
        atexit.register(gc.freeze)  # or Python looks through all objects once more when it ends
        await asyncio.gather(
            asyncio.to_thread(worker_engine, self.spec, Settings()),
            asyncio.to_thread(silero_model),
            *(asyncio.to_thread(import_module, name) for name in self.modules),
        )
