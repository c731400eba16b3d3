"""The cluster of a whole call of the command: of several recordings, or opened ahead of the first.

The flow opens a cluster of its own when it needs one. Where our server has to be started, that
takes seconds in which this process has nothing to do: enough to start the workers and to load the
model.
"""

import os
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, cast

from cli.run_request import Request
from longform.settings import Settings

if TYPE_CHECKING:
    from infra.clusters.local import LocalCluster

LOCAL = "local"


class SharedCluster(ExitStack):
    """A cluster on this machine that several flow runs use; none, where they need none."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self._request = request
        self._early: Future[LocalCluster] | None = None

    def begin(self) -> None:
        """Begin to open it, and to load the model on it; do not wait for that."""
        if self._request.settings.cluster == LOCAL:
            self.callback(self._close_early)
            pool = self.enter_context(ThreadPoolExecutor(1, "longform-cluster"))
            self._early = pool.submit(_open, self._request.settings)
            pool.submit(self._load)

    def share(self, settings: Settings) -> None:
        """Have the flow runs of this process use it, under the settings that are in force."""
        cluster = self._opened_early(settings)
        if cluster is None and settings.cluster == LOCAL and len(self._request.media) > 1:
            cluster = self.enter_context(_open(settings))
        if cluster is not None:
            os.environ["LONGFORM_CLUSTER"] = cluster.scheduler_address

    def _opened_early(self, settings: Settings) -> "LocalCluster | None":
        if self._early is not None and settings == self._request.settings:
            return self._early_cluster()
        self.close()  # the server knows other settings
        return None

    def _early_cluster(self) -> "LocalCluster | None":
        # What has failed here will fail again in the run, where it is reported.
        if self._early is None or self._early.exception() is not None:
            return None
        return self._early.result()

    def _close_early(self) -> None:
        if (cluster := self._early_cluster()) is not None:
            cluster.close()

    def _load(self) -> None:
        from distributed import Client

        from flows.run_cluster import load_engine
        from longform.speech.engine_choice import choose_engine

        if (cluster := self._early_cluster()) is not None:
            engine = choose_engine(self._request.params, self._request.settings)
            with Client(cluster, set_as_default=False) as client:
                load_engine(client, engine)


def _open(settings: Settings) -> "LocalCluster":
    from infra.cluster import open_cluster

    return cast("LocalCluster", open_cluster(settings))
