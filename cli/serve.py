"""`longform serve`: the flows on this machine, without work pools and workers."""

import asyncio
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, cast

import typer

from longform.settings import Settings

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment

NAME = "laptop"  # of both deployments
TAGS = ["longform"]


def serve(
    limit: Annotated[
        int, typer.Option(min=1, help="Runs at a time; each opens a cluster of its own.")
    ] = 1,
) -> None:
    """Take runs of transcribe and reprocess from the Prefect server and run them here.

    They are started from the Prefect UI or with `prefect deployment run`, until Ctrl-C. Runs that
    are going then are cancelled; finished chunks are kept.
    """
    from infra.prefect_server import ensure_server

    address = ensure_server(Settings().home)
    address.apply()
    from flows.reprocess import reprocess
    from flows.transcribe import transcribe

    typer.echo(
        f"serving transcribe/{NAME} and reprocess/{NAME}; Ctrl-C ends it\n"
        f"forms: {address.ui_url}/deployments\n"
        f"or: PREFECT_API_URL={address.api_url} "
        f"prefect deployment run transcribe/{NAME} --param media_url=/path/to/talk.mp3"
    )
    deployments = [
        cast("RunnerDeployment", flow.to_deployment(NAME, tags=TAGS))
        for flow in (transcribe, reprocess)
    ]
    with suppress(KeyboardInterrupt):  # before the first run could be taken
        asyncio.run(take_runs(deployments, limit))
    typer.echo("longform: no longer serving")


async def take_runs(deployments: "Sequence[RunnerDeployment]", limit: int) -> None:
    """Take runs of deployments until Ctrl-C or SIGTERM; then cancel those that are going.

    Prefect's own `serve` kills them at Ctrl-C: they would stay Running.
    """
    from prefect.runner import Runner

    runner = Runner(limit=limit)
    for deployment in deployments:
        await runner.aadd_deployment(deployment)
    serving, told = asyncio.create_task(runner.start()), asyncio.Event()
    await asyncio.sleep(0)  # its first step is to handle SIGTERM in a way of its own
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    stopping = asyncio.create_task(told.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not serving.done():
        if runner.started:
            await runner.astop()
        else:
            serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving
