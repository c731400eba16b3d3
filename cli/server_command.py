"""`longform server`: the Prefect server that the command starts where none is configured."""

import typer

from longform.settings import Settings

app = typer.Typer(no_args_is_help=True, help="The local Prefect server: start, stop, status.")


@app.command()
def start() -> None:
    """Start the server, unless one is configured or running; print the address of its UI."""
    from infra.prefect_server import ensure_server

    typer.echo(ensure_server(Settings().home).ui_url)


@app.command()
def stop() -> None:
    """End the server that longform has started."""
    from infra.prefect_server import stop_server

    typer.echo("stopped" if stop_server(Settings().home) else "there was none to stop")


@app.command()
def status() -> None:
    """Print which server a run would use, and whether it answers."""
    from infra.prefect_server import server_status

    found = server_status(Settings().home)
    if found.address is None:
        typer.echo("none: `longform transcribe` starts one")
        raise typer.Exit(1)
    typer.echo(f"{found.address.ui_url} {'answers' if found.running else 'does not answer'}")
    raise typer.Exit(0 if found.running else 1)
