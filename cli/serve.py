"""`longform serve`: the flows on this machine, without work pools and workers."""

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

    They are started from the Prefect UI or with `prefect deployment run`, until Ctrl-C.
    """
    from infra.server import ensure_server

    address = ensure_server(Settings().home)
    address.apply()
    from prefect import serve as serve_deployments

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
    serve_deployments(*deployments, limit=limit, print_starting_message=False)
    typer.echo("longform: no longer serving")
