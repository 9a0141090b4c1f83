"""`vedette`: the command line's front door."""

from typing import Annotated

import typer

from vedette import __version__

cli = typer.Typer(name="vedette", no_args_is_help=True, add_completion=False, help="Telemetry in, few and right incidents out.")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vedette {__version__}")
        raise typer.Exit


@cli.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    pass


def main() -> None:
    """Run the verb named on the command line."""
    cli()
