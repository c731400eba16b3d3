"""Small messages from workers to the flow, over Dask's own event log."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from distributed import Client, get_worker
from pydantic import TypeAdapter

from longform.runs.progress_events import ChunkEvent

_EVENTS: TypeAdapter[ChunkEvent] = TypeAdapter(ChunkEvent)


def recording_run_id(run_id: str, number: int) -> str:
    """Return the id of one recording's part in a run of several."""
    return f"{run_id}/{number}"


def publisher(run_id: str) -> Callable[[ChunkEvent], None]:
    """Return a function that tells the flow of run `run_id` how a macro chunk gets on.

    It must be called in a task on a Dask worker.
    """
    worker = get_worker()

    def publish(event: ChunkEvent) -> None:
        worker.log_event(_topic(run_id), {"run_id": run_id, "event": event.model_dump()})

    return publish


@contextmanager
def subscription(
    client: Client, run_id: str, handler: Callable[[str, ChunkEvent], None]
) -> Iterator[None]:
    """Call `handler`, in a thread of the client, for every message of run `run_id`.

    It is given the id that the message was published under: that of the run, or of one
    recording's part in it.
    """

    def receive(message: tuple[float, dict[str, object]]) -> None:
        told = message[1]
        handler(str(told["run_id"]), _EVENTS.validate_python(told["event"]))

    client.subscribe_topic(_topic(run_id), receive)
    try:
        yield
    finally:
        client.unsubscribe_topic(_topic(run_id))


def _topic(run_id: str) -> str:
    # One for all recordings of a run: the scheduler keeps the last messages of each for good.
    return f"longform-{run_id.partition('/')[0]}"
