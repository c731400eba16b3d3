"""`tcp://`, `tls://` and the like: a scheduler that somebody else runs."""

from types import TracebackType

from infra.clusters.place import SETTING, ClusterPlace
from longform.errors import EnvironmentFaultError
from longform.settings import Settings


class ExistingCluster:
    """A scheduler that somebody else runs; entering gives its address, which a client takes."""

    def __init__(self, address: str) -> None:
        self.scheduler_address = address

    def __enter__(self) -> str:
        return self.scheduler_address

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the scheduler running: it is not ours."""


def open_existing(place: ClusterPlace, settings: Settings) -> ExistingCluster:
    """Use a scheduler as it is: whoever runs it decides on its workers, and on their number.

    Raises:
        EnvironmentFaultError: no host is named.
    """
    if not place.hosts:
        raise EnvironmentFaultError(
            f"{SETTING}={place.address} names no scheduler: tcp://host:8786"
        )
    return ExistingCluster(place.address)
