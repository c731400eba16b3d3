"""What we use of Prefect beyond its documentation: `infra/prefect_internals.py`, for the most."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, Mock

import httpx
import pytest
from prefect import Task
from prefect.client.base import PrefectHttpxAsyncClient
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect_dask import DaskTaskRunner

from deployments.automations import RUN_ID
from deployments.pools import with_environment
from flows.macro_chunk import macro_chunk
from flows.orphaned_runs import STAND_IN
from infra.prefect_server import _server_environment
from infra.prefect_server_app import NOT_COUNTED
from longform.transcript.row_list import Rows
from tests.support.library import Library

PREFECT, PREFECT_DASK = Library("prefect"), Library("prefect-dask")


def test_a_flow_run_has_a_task_runner_of_its_own() -> None:
    """What `open_dask_client` tells the runner of one run, no other run is told."""
    fields = PREFECT.find("prefect.context.FlowRunContext").model_fields
    PREFECT.require("task_runner" in fields, "a FlowRunContext has its task_runner")
    runner = DaskTaskRunner(cluster_class=print)
    copy = runner.duplicate()
    copy.cluster_kwargs["settings"] = "of this run"
    PREFECT_DASK.require(copy.cluster_class is print, "a copy opens the same cluster")
    PREFECT_DASK.require(not runner.cluster_kwargs, "a copy has cluster_kwargs of its own")


def test_the_client_of_a_task_runner_is_opened_by_asking_for_it() -> None:
    """The property makes the cluster with `cluster_kwargs`; later calls give the same client."""
    client = PREFECT_DASK.find("prefect_dask.task_runners.DaskTaskRunner.client")
    PREFECT_DASK.require(isinstance(client, property), "DaskTaskRunner.client is a property")


def test_a_future_shows_what_dask_knows_of_it() -> None:
    """`dask_future` and `wait_until_done` need the future inside, and word of its end."""
    future = "prefect_dask.task_runners.PrefectDaskFuture"
    PREFECT_DASK.require(
        isinstance(PREFECT_DASK.find(f"{future}.wrapped_future"), property),
        "PrefectDaskFuture.wrapped_future is a property",
    )
    PREFECT_DASK.require_call(f"{future}.add_done_callback", None, print)


def test_a_state_holds_a_record_of_its_result() -> None:
    """A webhook tells what the flow has returned: `state.data.result`."""
    record = PREFECT.find("prefect.results.ResultRecord")
    PREFECT.require("result" in record.model_fields, "a ResultRecord has its result")


async def test_the_task_run_that_stands_for_a_subflow_begins_with_its_name() -> None:
    """After the death of their parent such task runs are found by how their names begin."""
    api, parent = AsyncMock(), SimpleNamespace(flow_run=None, detached=True)
    api.create_task_run = Mock(return_value=SimpleNamespace())
    await Task(name=macro_chunk.name, fn=macro_chunk.fn).create_run(api, flow_run_context=parent)
    name = api.create_task_run.call_args.kwargs["name"]
    PREFECT.require(name.startswith(STAND_IN), f"its name begins with {STAND_IN}")
    code = PREFECT.find("prefect.flow_engine.AsyncFlowRunEngine.create_flow_run").__code__
    PREFECT.require("Task" in code.co_names, "a Task with the flow's name stands for a subflow")


def test_long_lists_of_ours_are_not_searched_for_futures() -> None:
    """Prefect opens lists, tuples and models in what tasks are given, and nothing unknown."""
    seen: list[Any] = []
    visit = PREFECT.find("prefect.utilities.collections.visit_collection")
    visit([Rows(["a word"])], visit_fn=seen.append, return_data=False)
    PREFECT.require("a word" not in seen, "an unknown kind of sequence is not opened")


def test_the_server_application_can_be_made_with_our_database() -> None:
    """`infra/prefect_server_app.py` makes Prefect's application and overrides its SQLite."""
    PREFECT.require_call("prefect.server.api.server.create_app")
    PREFECT.require_call("prefect.server.database.dependencies.set_database_config", None)
    PREFECT.find("prefect.settings.PREFECT_API_DATABASE_CONNECTION_URL").value()
    sqlite = "prefect.server.database.configurations.AioSqliteConfiguration"
    PREFECT.require_call(sqlite, connection_url="sqlite+aiosqlite://")
    PREFECT.require_call(f"{sqlite}.begin_transaction", None, "session", True)
    PREFECT.require_call(f"{sqlite}.setup_sqlite", None, "connection", "record")


def test_the_server_knows_the_variables_that_it_is_started_with() -> None:
    """Prefect passes over a variable that it does not know, without a word."""
    known = PREFECT.find("prefect.settings.legacy._get_settings_fields")(
        PREFECT.find("prefect.settings.Settings")
    )
    final = "PREFECT__SERVER_FINAL"  # no setting; the application looks for it
    for name in _server_environment(Path("/home"), 4200):
        if name.startswith("PREFECT_") and name != final:
            PREFECT.require(name in known, f"{name} is a setting")
    constants = PREFECT.find("prefect.server.api.server.create_app").__code__.co_consts
    PREFECT.require(final in constants, f"the server goes by {final}")


@pytest.mark.parametrize(("added", "tries"), [([], 2), ([NOT_COUNTED], 4)])
async def test_a_client_does_not_count_what_maintenance_refuses(
    added: list[tuple[bytes, bytes]], tries: int
) -> None:
    """With our header a client that may ask twice asks until it is answered."""
    answers: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        answers.append(503 if len(answers) < 3 else 200)
        return httpx.Response(answers[-1], headers=[(b"retry-after", b"0"), *added])

    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 1}):
        async with PrefectHttpxAsyncClient(
            transport=httpx.MockTransport(answer),
            base_url="http://server",
            raise_on_all_errors=False,
        ) as client:
            await client.post("/any")
    PREFECT.require(len(answers) == tries, f"{tries} tries with {added or 'no header'}")


def test_profiles_are_written_as_we_read_them() -> None:
    """`infra/prefect_api.py` reads profiles.toml itself: Prefect may not be imported before."""
    url = PREFECT.find("prefect.settings.PREFECT_API_URL")
    profile = PREFECT.find("prefect.settings.Profile")(name="ours", settings={url: "http://server"})
    written = PREFECT.find("prefect.settings.ProfilesCollection")([profile], active="ours")
    as_we_read = {"active": "ours", "profiles": {"ours": {"PREFECT_API_URL": "http://server"}}}
    PREFECT.require(written.to_dict() == as_we_read, "profiles.toml has active and profiles")


def test_work_pools_have_variables_where_we_put_ours() -> None:
    """The template of a process pool has the environment of its runs under its variables."""
    worker = PREFECT.find("prefect.workers.process.ProcessWorker")
    template = worker.get_default_base_job_template()
    PREFECT.require(
        "env" in template["variables"]["properties"], "a process pool has the variable env"
    )
    merged = with_environment(template, {"LONGFORM_HOME": "/data"})
    assert merged["variables"]["properties"]["env"]["default"] == {"LONGFORM_HOME": "/data"}


def test_an_automation_gives_a_run_a_parameter_as_text() -> None:
    """The kind `jinja` is rendered as it stands, so that a UUID need not be JSON."""
    hydration = PREFECT.find("prefect.utilities.schema_tools.hydration")
    context = hydration.HydrationContext(
        render_jinja=True, jinja_context={"flow_run": {"id": "an-id"}}
    )
    given = hydration.hydrate({"flow_run_id": RUN_ID}, context)
    PREFECT.require(given == {"flow_run_id": "an-id"}, "the kind jinja is rendered as it stands")


def test_addresses_of_pages_can_be_asked_for() -> None:
    """The command shows where a run can be looked at."""
    PREFECT.require_call("prefect.utilities.urls.url_for", "flow-run", obj_id="an-id")
