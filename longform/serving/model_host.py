"""The model of a service: loaded in the background, named for clients, shared by all requests."""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from longform.errors import LongformError, ParameterError
from longform.params import TranscribeParams
from longform.serving.api_error import ApiError, retry_after
from longform.serving.metrics import MeteredEngine, Metrics
from longform.settings import Settings
from longform.speech.batching import Batcher
from longform.speech.engine import EngineSpec
from longform.speech.engine_choice import REMOTE, choose_engine
from longform.speech.engines import engine_factory
from longform.speech.remote.chunk_protocol import ANSWER_FIELD

LOADING_RETRY_SEC = 5.0


class ModelHost:
    """Loads the model that `params` name, once, and closes it at the end.

    Args:
        params: model, device, number type and batch size.
        settings: which engine, and where weights lie.
        aliases: further names by which clients may ask for the model.
        metrics: counts every call of the engine.
        batch_wait_sec: how long a batch that is not full waits for others.

    Raises:
        ParameterError: the engine is another service.
    """

    def __init__(
        self,
        params: TranscribeParams,
        settings: Settings,
        aliases: tuple[str, ...],
        metrics: Metrics,
        batch_wait_sec: float,
    ) -> None:
        if settings.engine == REMOTE:
            raise ParameterError(
                "engine: a model service loads a model itself: unset LONGFORM_ENGINE=remote for it"
            )
        self._params = params
        self._settings = settings
        self._metrics = metrics
        self._batch_wait_sec = batch_wait_sec
        self._loaded: Batcher | None = None
        self._spec = EngineSpec()
        self._created_unix_sec = int(time.time())
        self.names = tuple(dict.fromkeys((shown_model(params.model), *aliases)))

    @property
    def is_loaded(self) -> bool:
        """Whether requests can be served."""
        return self._loaded is not None

    @property
    def num_waiting(self) -> int:
        """Micro chunks that wait for the engine."""
        return self._loaded.num_waiting if self._loaded else 0

    @property
    def num_streams(self) -> int:
        """Requests whose micro chunks are on their way through the engine."""
        return self._loaded.num_streams if self._loaded else 0

    @property
    def batcher(self) -> Batcher:
        """The loaded engine.

        Raises:
            ApiError: 503 while it loads.
        """
        if self._loaded is None:
            raise ApiError(
                503,
                "loading",
                "the model is still loading: try again a little later",
                headers=retry_after(LOADING_RETRY_SEC),
            )
        return self._loaded

    async def load(self) -> None:
        """Load the model on a thread of its own, which a stop need not wait for.

        Raises:
            LongformError: no such model, damaged weights, or a device that is not there.
        """
        await _on_daemon_thread(self._load)

    def close(self) -> None:
        """Close the engine; waits for the batch that is being decoded."""
        if self._loaded is not None:
            self._loaded.close()

    def entries(self) -> list[dict[str, Any]]:
        """Return what `/v1/models` lists: every name of the model, and what it is."""
        return [self._entry(name) for name in self.names]

    def _entry(self, name: str) -> dict[str, Any]:
        engine = self.batcher.engine.identity
        arithmetic = f"{self._spec.device} {self._spec.compute_type}"
        return {
            "id": name,
            "object": "model",
            "created": self._created_unix_sec,
            "owned_by": "longform",
            ANSWER_FIELD: {
                "model_sha256": self._spec.model_sha256,
                "identity": f"{engine}, {arithmetic}",
            },
        }

    def _load(self) -> None:
        spec = choose_engine(self._params, self._settings)
        here = spec.model_copy(update={"cpu_threads": self._settings.cpu_threads})
        engine = engine_factory(here.backend)(here, self._settings.home)
        self._spec = here
        self._loaded = Batcher(
            MeteredEngine(engine, self._metrics),
            here.batch_size,
            linger_sec=self._batch_wait_sec,
        )


def shown_model(model: str) -> str:
    """Return a model's name for clients: of a folder its last part, not where it lies."""
    folder = Path(model).expanduser()
    return folder.resolve().name if folder.is_dir() else model


async def _on_daemon_thread(work: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def run() -> None:
        try:
            work()
        except LongformError as error:
            loop.call_soon_threadsafe(settle, error)
        except BaseException as error:
            loop.call_soon_threadsafe(settle, error)
            raise
        else:
            loop.call_soon_threadsafe(settle, None)

    threading.Thread(target=run, name="longform-load", daemon=True).start()
    await done
