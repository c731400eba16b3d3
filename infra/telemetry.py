"""Small messages from workers to the flow, over Dask's own event log."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from distributed import Client, get_worker

from longform.progress import MicroDone


def publisher(run_id: str) -> Callable[[MicroDone], None]:
    """Return a function that tells the flow of run `run_id` about a micro chunk.

    It must be called in a task on a Dask worker.
    """
    worker = get_worker()

    def publish(event: MicroDone) -> None:
        worker.log_event(_topic(run_id), event.model_dump())

    return publish


@contextmanager
def subscription(
    client: Client, run_id: str, handler: Callable[[MicroDone], None]
) -> Iterator[None]:
    """Call `handler`, in a thread of the client, for every message of run `run_id`."""

    def receive(event: tuple[float, dict[str, object]]) -> None:
        handler(MicroDone.model_validate(event[1]))

    client.subscribe_topic(_topic(run_id), receive)
    try:
        yield
    finally:
        client.unsubscribe_topic(_topic(run_id))


def _topic(run_id: str) -> str:
    return f"longform-{run_id}"
