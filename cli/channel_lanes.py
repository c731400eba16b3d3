"""Which worker is at which macro chunk: lanes that keep their place while chunks come and go."""

from collections.abc import Iterable
from dataclasses import dataclass

from longform.runs.progress_events import RunningChunk


@dataclass(slots=True)
class Lane:
    """One slot of a worker; `chunk` is None while it waits for the next."""

    worker: str
    chunk: RunningChunk | None


class Lanes:
    """The lanes of a run: as many as chunks have ever run at a time, so that nothing jumps."""

    def __init__(self) -> None:
        self._lanes: list[Lane] = []
        self._workers: dict[str, int] = {}

    def take_in(self, running: Iterable[RunningChunk]) -> None:
        """Take chunks off their lanes that have ended, and put new ones where there is room."""
        chunks = {(chunk.channel, chunk.macro_chunk): chunk for chunk in running}
        for lane in self._lanes:
            place = (lane.chunk.channel, lane.chunk.macro_chunk) if lane.chunk else None
            # One that was begun again elsewhere has left the lane of the worker that died.
            stays = place in chunks and chunks[place].worker == lane.worker
            lane.chunk = chunks.pop(place) if place and stays else None
        for chunk in chunks.values():
            self._place(chunk)

    def _place(self, chunk: RunningChunk) -> None:
        self._workers.setdefault(chunk.worker, len(self._workers) + 1)
        idle = [lane for lane in self._lanes if lane.chunk is None]
        own = [lane for lane in idle if lane.worker == chunk.worker]
        if not idle:
            self._lanes.append(Lane(chunk.worker, chunk))
            self._lanes.sort(key=lambda lane: self._workers[lane.worker])
            return
        lane = (own or idle)[0]
        lane.worker, lane.chunk = chunk.worker, chunk

    def rows(self) -> list[tuple[str, RunningChunk | None]]:
        """Return the lanes in order, the name of a worker in the first of its own only."""
        rows, previous = [], ""
        for lane in self._lanes:
            rows.append(("" if lane.worker == previous else self._name(lane.worker), lane.chunk))
            previous = lane.worker
        return rows

    def _name(self, worker: str) -> str:
        """Return a number, and the host where there are several."""
        hosts = {name.rpartition(":")[0] for name in self._workers}
        number = self._workers[worker]
        return f"worker {number}" if len(hosts) < 2 else f"{worker.partition(':')[0]} {number}"
