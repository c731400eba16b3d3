"""Small messages from workers to the flow, over Dask's own event log."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from distributed import Client, get_worker
from pydantic import TypeAdapter

from longform.progress import ChunkEvent

_EVENTS: TypeAdapter[ChunkEvent] = TypeAdapter(ChunkEvent)


def publisher(run_id: str) -> Callable[[ChunkEvent], None]:
    """Return a function that tells the flow of run `run_id` how a macro chunk gets on.

    It must be called in a task on a Dask worker.
    """
    worker = get_worker()

    def publish(event: ChunkEvent) -> None:
        worker.log_event(_topic(run_id), event.model_dump())

    return publish


@contextmanager
def subscription(
    client: Client, run_id: str, handler: Callable[[ChunkEvent], None]
) -> Iterator[None]:
    """Call `handler`, in a thread of the client, for every message of run `run_id`."""

    def receive(event: tuple[float, dict[str, object]]) -> None:
        handler(_EVENTS.validate_python(event[1]))

    client.subscribe_topic(_topic(run_id), receive)
    try:
        yield
    finally:
        client.unsubscribe_topic(_topic(run_id))


def _topic(run_id: str) -> str:
    return f"longform-{run_id}"
