"""The cluster of a whole call of the command: of several recordings, or opened ahead of the first.

The flow opens a cluster of its own when it needs one. Where our server has to be started, that
takes seconds in which this process has nothing to do: enough to start the workers and to load the
model.
"""

import os
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cli.request import Request
from longform.settings import Settings

if TYPE_CHECKING:
    from infra.clusters.local import LocalCluster

LOCAL = "local"


class SharedCluster:
    """A cluster on this machine that several flow runs use; none, where they need none."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._early: Future[LocalCluster] | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def begin(self) -> None:
        """Begin to open it, and to load the model on it; do not wait for that."""
        if self._request.settings.cluster == LOCAL:
            self._stack.callback(self._close_early)
            pool = self._stack.enter_context(ThreadPoolExecutor(1, "longform-cluster"))
            self._early = pool.submit(_open, self._request.settings)
            pool.submit(self._load)

    def share(self, settings: Settings) -> None:
        """Have the flow runs of this process use it, under the settings that are in force."""
        cluster = self._opened_early(settings)
        if cluster is None and settings.cluster == LOCAL and len(self._request.media) > 1:
            cluster = self._stack.enter_context(_open(settings))
        if cluster is not None:
            os.environ["LONGFORM_CLUSTER"] = cluster.scheduler_address

    def _opened_early(self, settings: Settings) -> "LocalCluster | None":
        if self._early is None:
            return None
        if settings == self._request.settings and self._early.exception() is None:
            return self._early.result()
        # The server knows other settings, or what has failed will fail again where it is reported.
        self._stack.close()
        return None

    def _close_early(self) -> None:
        if self._early is not None and self._early.exception() is None:
            self._early.result().close()
        self._early = None

    def _load(self) -> None:
        from distributed import Client

        from flows.cluster import engine_plugin
        from longform.speech.engine_choice import choose_engine

        if self._early is not None and self._early.exception() is None:
            engine = choose_engine(self._request.params, self._request.settings)
            with Client(self._early.result()) as client:
                client.register_plugin(engine_plugin(engine))


def _open(settings: Settings) -> "LocalCluster":
    from infra.cluster import local_cluster

    return local_cluster(settings)
