"""The `longform` command: what there is, and how errors become one line and an exit code."""

import sys
from typing import Annotated

import click
import typer

from cli import (
    clean,
    compare,
    deploy,
    doctor,
    plan,
    reprocess,
    serve,
    serve_model,
    server,
    transcribe,
)
from cli.exit_codes import INTERRUPTED, exit_code
from longform import __version__
from longform.errors import LongformError

app = typer.Typer(
    name="longform",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={
        "help_option_names": ["-h", "--help"],
        # openai-whisper and whisper-ctranslate2 write --max_line_width.
        "token_normalize_func": lambda token: token.replace("_", "-"),
    },
    help="Hours of speech in, an exact, time-coded transcript out.",
)
app.command("transcribe")(transcribe.transcribe)
app.command("reprocess")(reprocess.reprocess)
app.command("plan")(plan.plan)
app.command("compare")(compare.compare)
app.command("clean")(clean.clean)
app.command("deploy")(deploy.deploy)
app.command("serve")(serve.serve)
app.command("serve-model")(serve_model.serve_model)
app.command("doctor")(doctor.doctor)
app.add_typer(server.app, name="server")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"longform {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Take the options that come before a command."""


def main() -> None:
    """Run the command."""
    try:
        app()
    except LongformError as error:
        sys.stderr.write(f"longform: {error}\n")
        sys.exit(exit_code(error))
    except (KeyboardInterrupt, click.Abort):
        sys.stderr.write("longform: stopped\n")
        sys.exit(INTERRUPTED)
