"""Recent runs: what they noted themselves, and what the Prefect server knows of them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from longform.errors import LongformError, ParameterError
from longform.params import FrozenModel
from longform.runs.history import RunFigures, RunRecord, read_records
from longform.settings import Settings

if TYPE_CHECKING:
    from infra.flow_runs import ServerRun

LAST = "last"
NO_SERVER = (
    "no Prefect server answers: these are the runs of this machine; `longform server start` "
    "starts one, and runs on other machines are listed too"
)


class ListedRun(FrozenModel):
    """A run in the list. `figures` and `files` are None and empty where no record tells them."""

    run_id: str
    flow: str
    source_name: str
    state: str
    started_at_unix_sec: float
    figures: RunFigures | None = None
    files: tuple[str, ...] = ()
    error: str = ""
    run_url: str = ""


def recent_runs(settings: Settings, limit: int) -> tuple[list[ListedRun], str]:
    """Return the newest runs and a note for people on what could not be asked."""
    try:
        on_server, note = _on_server(settings, limit), ""
    except _NoServerError as error:
        on_server, note = (), str(error)
    return merge(read_records(settings.home), on_server)[:limit], note


def merge(records: Sequence[RunRecord], on_server: "Sequence[ServerRun]") -> list[ListedRun]:
    """Return every run once, the newest first.

    How a run ended it knows best itself; of one that has not ended, or that was killed before it
    could tell, the server may know more.
    """
    known = {run.run_id: run for run in on_server}
    runs = [_listed(record, known.pop(record.run_id, None)) for record in records]
    runs += [ListedRun.model_validate(run.model_dump()) for run in known.values()]
    return sorted(runs, key=lambda run: run.started_at_unix_sec, reverse=True)


def find_run(runs: Sequence[ListedRun], wanted: str) -> ListedRun:
    """Return the run that an id, the beginning of one, or `last` names.

    Raises:
        ParameterError: there is none, or there are several.
    """
    found = [run for run in runs if run.run_id.startswith(wanted)]
    if wanted == LAST:
        found = [run for run in runs if run.files][:1]
    if not found:
        raise ParameterError(f"no run {wanted!r} with files: `longform runs` lists what there is")
    if len(found) > 1:
        raise ParameterError(f"{len(found)} runs begin with {wanted!r}: give more of the id")
    return found[0]


def _listed(record: RunRecord, on_server: "ServerRun | None") -> ListedRun:
    fields = record.model_dump(include=set(ListedRun.model_fields))
    if on_server is not None and record.state in ("running", "killed"):
        fields["state"] = on_server.state if on_server.state != "running" else record.state
    return ListedRun.model_validate(fields)


class _NoServerError(LongformError):
    """There is no server to ask."""


def _on_server(settings: Settings, limit: int) -> "Sequence[ServerRun]":
    from infra.prefect_server import server_status

    status = server_status(settings.home)
    if status.address is None or not status.running:
        raise _NoServerError(NO_SERVER)
    status.address.apply()
    from prefect.exceptions import PrefectException

    from infra.flow_runs import recent_flow_runs

    try:
        return recent_flow_runs(limit)
    except PrefectException as error:
        raise _NoServerError(f"the Prefect server could not be asked: {error}") from error
