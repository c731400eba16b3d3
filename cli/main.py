"""The `longform` command: what there is, and how errors become one line and an exit code."""

import sys
from typing import Annotated

import click
import typer

from cli import (
    clean,
    compare,
    config,
    deploy,
    doctor,
    plan_command,
    reprocess_options,
    runs,
    serve,
    serve_model,
    server_command,
    show,
    transcribe_options,
)
from cli.exit_codes import INTERRUPTED, exit_code
from cli.fast_exit import tune_garbage_collection
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
TRANSCRIBE, LOOK, SERVE, HOUSE = "Transcribe", "Look at runs", "Serve", "Maintain"
app.command("transcribe", rich_help_panel=TRANSCRIBE)(transcribe_options.transcribe)
app.command("reprocess", rich_help_panel=TRANSCRIBE)(reprocess_options.reprocess)
app.command("plan", rich_help_panel=TRANSCRIBE)(plan_command.plan)
app.command("runs", rich_help_panel=LOOK)(runs.runs)
app.command("show", rich_help_panel=LOOK)(show.show)
app.command("compare", rich_help_panel=LOOK)(compare.compare)
app.command("deploy", rich_help_panel=SERVE)(deploy.deploy)
app.command("serve", rich_help_panel=SERVE)(serve.serve)
app.command("serve-model", rich_help_panel=SERVE)(serve_model.serve_model)
app.add_typer(server_command.app, name="server", rich_help_panel=SERVE)
app.command("config", rich_help_panel=HOUSE)(config.config)
app.command("doctor", rich_help_panel=HOUSE)(doctor.doctor)
app.command("clean", rich_help_panel=HOUSE)(clean.clean)


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
    tune_garbage_collection()
    try:
        app()
    except LongformError as error:
        sys.stderr.write(f"longform: {error}\n")
        sys.exit(exit_code(error))
    except (KeyboardInterrupt, click.Abort):
        sys.stderr.write("longform: stopped\n")
        sys.exit(INTERRUPTED)
